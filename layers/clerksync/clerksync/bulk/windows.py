"""The life of an instance, cut into windows of `created_at` that are walked at once.

Nothing is planned ahead: how users spread over the years is only known by reading them.
The first page tells where they begin. From then on, whoever has nothing to do takes the
later half of what is probably the longest way that is still to go. That costs no
request, and follows any distribution: growth, or an import of all within one
millisecond.

All times are Unix milliseconds of Clerk's clock.
"""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from math import inf
from typing import Any, Final, Self

from clerksync.clerk.api import PAGE_LIMIT
from clerksync.clerk.user import Page
from clerksync.errors import ClerkUnavailableError, StuckListingError

# A way of less than two pages is not worth another request.
_WORTH_HALVING: Final = 2 * PAGE_LIMIT


@dataclass(frozen=True, slots=True)
class Place:
    """How far the walk of a window has come."""

    reached: int
    """`created_at` of the newest user seen; others of the same moment may follow."""
    cursor: str
    """The last user of the last page."""
    after: int | None
    until: int
    """The bounds of the requests that have led there."""


@dataclass(slots=True)
class Window:
    """Users created from `start` until before `end`. A start of None is the beginning.

    Only the thread that walks it changes it, but for `end`, which others move.
    """

    start: int | None
    end: int
    place: Place | None = None
    walked: bool = False
    written: Place | None = None
    """As `place`, for what has reached the database."""
    done: bool = False
    """All of it has reached the database."""
    cursors: list[str] = field(default_factory=list)
    """Users to go on from, the best one last: any of them may have been deleted."""
    asked_after: int | None = None
    """The bounds of its requests; Clerk wants them the same from page to page."""
    asked_until: int = 0
    restarted_from: int | None = None
    users_per_ms: float = 0.0

    def __post_init__(self) -> None:
        self.asked_after = None if self.start is None else self.start - 1
        self.asked_until = self.end

    def users_to_go(self) -> float:
        """An estimate; 0 where nothing is known, or nothing can be cut off."""
        begin = self._begin()
        if self.walked or begin is None or self.end - begin < 2:
            return 0.0
        return self.users_per_ms * (self.end - begin - 1)

    def halve(self) -> "Window":
        """Cut off the later half of the way to go, and give it away."""
        begin = self._begin()
        if begin is None:
            raise AssertionError("a window without a beginning has no half")
        middle = begin + 1 + (self.end - begin - 1) // 2
        later = Window(middle, self.end, users_per_ms=self.users_per_ms)
        self.end = middle
        return later

    def _begin(self) -> int | None:
        """Where the way to go begins. Before 1970, only odd users were created: windows
        are not cut there, so that no bound of a request is negative."""
        begin = self.place.reached if self.place else self.start
        return None if begin is None else max(begin, 0)


class Windows:
    """Every window of a walk. They overlap nowhere and leave nothing out. For threads:
    a window is walked by the one that has taken it.
    """

    def __init__(self, windows: Iterable[Window], *, to_come: float = inf) -> None:
        self._to_come = to_come
        self._windows = list(windows)
        self._waiting = [w for w in self._windows if not w.walked][::-1]
        self._changed = threading.Condition()
        self._stopped = False

    @classmethod
    def until(cls, end: int, *, to_come: float = inf) -> Self:
        """A walk from the beginning of the instance until before a time.

        So many users are `to_come`, as far as is known: when few of them are left,
        nothing is halved any more, however close together the last ones were.
        """
        return cls([Window(None, end)], to_come=to_come)

    def __iter__(self) -> Iterator[Window]:
        """All, in the order of their times."""
        return iter(sorted(self._windows, key=lambda w: w.end))

    def take(self) -> Window | None:
        """A window to walk, as soon as there is one; None when there will be none."""
        with self._changed:
            while not self._stopped:
                if self._waiting:
                    return self._waiting.pop()
                if all(window.walked for window in self._windows):
                    break
                longest = max(self._windows, key=Window.users_to_go)
                most = min(longest.users_to_go(), self._to_come)
                if most >= _WORTH_HALVING:
                    window = longest.halve()
                    self._windows.append(window)
                    return window
                self._changed.wait()
        return None

    def stop(self) -> None:
        """Hand out no more, and let nobody wait."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def advance(self, window: Window, page: Page) -> Page:
        """Note how far the walk has come; gives those of the page that belong to it."""
        times = [u.created_at for u in page.users if u.created_at is not None]
        with self._changed:
            own = _between(page, times, window.start, window.end)
            self._to_come -= len(own)
            window.walked = len(page) < PAGE_LIMIT or (
                bool(times) and times[-1] >= window.end
            )
            if not window.walked and _is_stuck(window, page, times):
                raise StuckListingError
            if page.ids:
                window.cursors = _cursors(page.ids)
            elif not window.walked:
                raise ClerkUnavailableError("A page of Clerk's listing has no ids.")
            if times and page.ids:
                window.place = Place(
                    times[-1], page.ids[-1], window.asked_after, window.asked_until
                )
                window.users_per_ms = len(times) / (times[-1] - times[0] + 1)
            self._changed.notify_all()
        return own

    def as_json(self) -> list[dict[str, Any]]:
        """What has reached the database, for another run to go on from."""
        with self._changed:
            return [_as_json(window) for window in self]

    @classmethod
    def from_json(cls, windows: list[dict[str, Any]], *, to_come: float = inf) -> Self:
        return cls((_from_json(window) for window in windows), to_come=to_come)


def _is_stuck(window: Window, page: Page, times: list[int]) -> bool:
    """Whether a full page does not come after what was seen. After a lost cursor, it
    begins before that, but still ends behind it. A restart has no cursor, and shows
    again what was seen."""
    place = window.place
    if place is None or not window.cursors or not page.ids:
        return False
    went_back = bool(times) and times[-1] < place.reached
    return page.ids[-1] == place.cursor or went_back


def _cursors(ids: list[str]) -> list[str]:
    """The first id, and those 256, 128, … 2 and 1 from the end: the last is best."""
    steps = [2**power for power in range(len(ids).bit_length())]
    return [ids[0], *(ids[-step] for step in reversed(steps) if step < len(ids))]


def _between(page: Page, times: list[int], start: int | None, end: int) -> Page:
    inside = not times or ((start is None or times[0] >= start) and times[-1] < end)
    if inside and not page.unreadable:
        return page

    def belongs(created_at: int | None) -> bool:
        if created_at is None:
            return True
        return (start is None or created_at >= start) and created_at < end

    return page.only(belongs)


def _as_json(window: Window) -> dict[str, Any]:
    json: dict[str, Any] = {"start": window.start, "end": window.end}
    if window.done:
        return json | {"done": True}
    if window.written is not None:
        json |= asdict(window.written)
    return json


def _from_json(json: dict[str, Any]) -> Window:
    window = Window(json["start"], json["end"])
    window.walked = window.done = json.get("done", False)
    if "cursor" in json:
        place = Place(json["reached"], json["cursor"], json["after"], json["until"])
        window.place = window.written = place
        window.cursors = [place.cursor]
        window.asked_after, window.asked_until = place.after, place.until
    return window
