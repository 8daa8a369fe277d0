"""Walks over Clerk's user listing that survive what happens to users meanwhile."""

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from clerksync.bulk.windows import Window
from clerksync.clerk.api import PAGE_LIMIT, ClerkApi
from clerksync.clerk.user import Page
from clerksync.errors import (
    ClerkRequestError,
    ClerkUnavailableError,
    StuckListingError,
)

Result = TypeVar("Result")

# Clerk does not say how it refuses a cursor whose user is gone.
_LOST_CURSOR: Final = frozenset({400, 404, 410, 422})
_LOST: Final = "Clerk's listing loses its place again and again."
# Users read again at each step of an offset walk: as many may be deleted in between.
_OFFSET_OVERLAP: Final = 20
# In an instance where many users change, a page may show nobody new by chance.
_STUCK_PAGES: Final = 3


def next_page(
    clerk: ClerkApi, window: Window, read: Callable[[bytes], Result]
) -> Result:
    """What `read` makes of the page after those that the window's walk has seen.

    A user who lives throughout the walk is in one of the pages; after a lost cursor,
    some users are in two.
    """
    while True:
        try:
            return clerk.created_page(
                created_after=window.asked_after,
                created_before=window.asked_until,
                starting_after=window.cursors[-1] if window.cursors else None,
                read=read,
            )
        except ClerkRequestError as error:
            if not window.cursors or error.status not in _LOST_CURSOR:
                raise
            # The cursor's user was deleted: go on from one before, in growing steps.
            window.cursors.pop()
            if not window.cursors:
                _restart(window)


def _restart(window: Window) -> None:
    """Go on without a cursor, from the last millisecond that was seen, whether Clerk
    takes that bound as inclusive or not."""
    place = window.place
    if place is None or place.reached == window.restarted_from:
        raise ClerkUnavailableError(_LOST)
    window.restarted_from = place.reached
    # Whether Clerk takes a bound before 1970, it does not say.
    window.asked_after = place.reached - 1 if place.reached > 0 else None
    window.asked_until = window.end


def updated_pages(clerk: ClerkApi, *, since: int) -> Iterator[Page]:
    """Every user updated since a time of Clerk's clock (Unix ms), last updated first.

    Clerk has no filter and no cursor for this, only an offset. Users updated meanwhile
    move to the front and push others back: some come twice. Users deleted meanwhile
    pull others forward: a page that shares nobody with the one before may have left
    some out, and the walk steps back.

    Raises StuckListingError if page after page shows nobody new.
    """
    offset = stuck = restarts = 0
    seen: set[str] = set()
    while max(stuck, restarts) < _STUCK_PAGES:
        page = clerk.updated_page(offset=offset)
        if offset and seen.isdisjoint(page.ids):
            offset = max(0, offset - PAGE_LIMIT // 2)
            restarts += not offset
            continue
        yield page
        oldest = min((user.updated_at for user in page.users), default=None)
        if len(page) < PAGE_LIMIT or (oldest is not None and oldest < since):
            return
        stuck = stuck + 1 if seen.issuperset(page.ids) else 0
        seen = set(page.ids)
        offset += PAGE_LIMIT - _OFFSET_OVERLAP
    raise StuckListingError
