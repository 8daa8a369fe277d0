"""A walk by workers that take turns as chance has it, in one thread.

A turn is what nobody else can come between: taking a window, asking Clerk, or noting
the page that has arrived. What happens to a window while its page is on the way
happens between two turns.
"""

import json
import random
from collections import Counter, deque
from dataclasses import dataclass
from itertools import islice, pairwise
from math import inf
from typing import Any, Self, cast

from hypothesis import strategies as st

from clerksync.bulk.fetch import Fetched
from clerksync.bulk.listing import next_page
from clerksync.bulk.windows import Window, Windows
from clerksync.clerk.api import ClerkApi
from clerksync.clerk.user import ClerkUser, Page, Unreadable
from clerksync.errors import ClerkRequestError, ClerkUnavailableError
from clerksync.write.rows import Prepared

PAGE = 4
_FOR_EVER = 20_000

_MOMENTS = (
    st.integers(-12, 12)
    | st.integers(1_000, 1_100)
    | st.integers(0, 10**12)
    | st.just(-(10**13))
)
# Crowds within a millisecond, dense and sparse times beside each other.
TIMES = st.lists(st.tuples(_MOMENTS, st.integers(1, 3 * PAGE)), max_size=12).map(
    lambda crowds: [moment for moment, size in crowds for _ in range(size)]
) | st.lists(st.integers(0, 60), max_size=100)
SEEDS = st.integers(0, 2**32)


class Listing:
    """Clerk's listing by creation, as far as a walk asks for it."""

    def __init__(
        self, times: list[int], *, inclusive: bool, unreadable: set[int] | None = None
    ) -> None:
        self._inclusive = inclusive
        self._unreadable = {f"user_{number}" for number in unreadable or ()}
        self.users = sorted((time, f"user_{n}") for n, time in enumerate(times))
        self.gone: set[str] = set()
        self.asked = 0

    def next_page(self, window: Window) -> Page:
        """As it is when Clerk answers; the walk has not heard of it yet."""
        page: Page = next_page(cast(ClerkApi, self), window, cast(Any, None))
        return page

    def before(self, end: int) -> set[str]:
        return {i for time, i in self.users if time < end and i not in self.gone}

    def created_page(
        self,
        *,
        created_after: int | None,
        created_before: int,
        starting_after: str | None,
        **_: object,
    ) -> Page:
        """Decoded already: nothing has to read it."""
        self.asked += 1
        if starting_after in self.gone:
            raise ClerkRequestError("Nobody has that id.", 404)
        assert created_after is None or created_after >= 0
        assert created_before >= 0
        first = -inf
        if created_after is not None:
            first = created_after + (not self._inclusive)
        stop = created_before + self._inclusive
        found = (
            (time, user_id)
            for time, user_id in self._beyond(starting_after)
            if first <= time < stop and user_id not in self.gone
        )
        return self._page(list(islice(found, PAGE)))

    def _beyond(self, cursor: str | None) -> list[tuple[int, str]]:
        if cursor is None:
            return self.users
        return self.users[[i for _, i in self.users].index(cursor) + 1 :]

    def _page(self, found: list[tuple[int, str]]) -> Page:
        return Page(
            [
                ClerkUser.model_construct(id=user_id, created_at=time)
                for time, user_id in found
                if user_id not in self._unreadable
            ],
            [
                Unreadable(user_id, time)
                for time, user_id in found
                if user_id in self._unreadable
            ],
            [user_id for _, user_id in found],
        )


class WouldWaitError(Exception):
    """This worker has nothing to do before another one's turn."""


class Turns:
    """In place of the condition variable: who would wait gives up its turn."""

    def __init__(self) -> None:
        self.changes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nobody else is waiting to get in."""

    def notify_all(self) -> None:
        self.changes += 1

    def wait(self) -> None:
        raise WouldWaitError


@dataclass
class Worker:
    window: Window | None = None
    page: Page | None = None
    asleep_since: int = -1
    """The change after which it waits for the next one."""
    ended: bool = False


class Walk:
    """One run: windows, its workers, and what waits for the database."""

    def __init__(self, windows: Windows, listing: Listing, *, workers: int) -> None:
        self.windows, self.listing = windows, listing
        self.workers = [Worker() for _ in range(workers)]
        self.seen: Counter[str] = Counter()
        self.written: Counter[str] = Counter()
        self.gave_up = False
        self._turns_taken = 0
        self._waiting: deque[Fetched] = deque()
        self._turns = Turns()
        windows._changed = cast(Any, self._turns)

    def turn(self, chance: random.Random) -> bool:
        """Let somebody do something; False when there is nobody who could."""
        self._turns_taken += 1
        assert self._turns_taken < _FOR_EVER
        changes = self._turns.changes
        ready = [w for w in self.workers if not w.ended and w.asleep_since != changes]
        if not ready or self.gave_up:
            assert self.gave_up or all(w.ended for w in self.workers), "one sleeps on"
            return False
        try:
            self._act(chance.choice(ready))
        except ClerkUnavailableError:
            self.gave_up = True
        return True

    def write(self, pages: int | None = None) -> None:
        """Let so many pages reach the database, or all that wait."""
        for _ in range(len(self._waiting) if pages is None else pages):
            if self._waiting:
                fetched = self._waiting.popleft()
                self.written.update(fetched.ids)
                fetched.note_written()

    def checkpoint(self) -> Any:
        """As the ledger keeps it."""
        return json.loads(json.dumps(self.windows.as_json()))

    def _act(self, worker: Worker) -> None:
        if worker.window is None:
            try:
                worker.window = self.windows.take()
                worker.ended = worker.window is None
            except WouldWaitError:
                worker.asleep_since = self._turns.changes
        elif worker.page is None:
            worker.page = self.listing.next_page(worker.window)
        else:
            window = worker.window
            page = self.windows.advance(window, worker.page)
            self.seen.update(page.ids)
            place, walked = window.place, window.walked
            self._waiting.append(
                Fetched(len(page), page.ids, Prepared([], []), 0, window, place, walked)
            )
            worker.page, worker.window = None, None if walked else window


def parts(windows: Windows) -> list[tuple[float, int]]:
    """From when to when, in the order of time."""
    infinite = float("-inf")
    return sorted((infinite if w.start is None else w.start, w.end) for w in windows)


def assert_is_partition(windows: Windows, end: int) -> None:
    """One begins where the one before ends, from the beginning of time to `end`."""
    cut = parts(windows)
    assert cut[0][0] == float("-inf")
    assert cut[-1][1] == end
    for (_, before), (start, _) in pairwise(cut):
        assert before == start
