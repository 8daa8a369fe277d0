"""Walks over Clerk's user listing that survive what happens to users meanwhile."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from clerksync.clerk_api import PAGE_LIMIT, ClerkApi
from clerksync.clerk_user import Page
from clerksync.errors import ClerkRequestError, ClerkUnavailableError

_MILLISECOND: Final = timedelta(milliseconds=1)
# Clerk does not say how it refuses a cursor whose user is gone.
_LOST_CURSOR: Final = frozenset({400, 404, 410, 422})
_LOST: Final = "Clerk's listing loses its place again and again."
# Users read again at each step of an offset walk: as many may be deleted in between.
_OFFSET_OVERLAP: Final = 20


def created_pages(clerk: ClerkApi, *, created_before: datetime) -> Iterator[Page]:
    """Every user created before a time of Clerk's clock, oldest first.

    A user who lives throughout the walk is in one of the pages; after a lost cursor,
    some users are in two.
    """
    created_after: datetime | None = None
    cursors: list[str] = []
    newest: datetime | None = None
    while True:
        try:
            page = clerk.created_page(
                created_after=created_after,
                created_before=created_before,
                starting_after=cursors[-1] if cursors else None,
            )
        except ClerkRequestError as error:
            if not cursors or error.status not in _LOST_CURSOR:
                raise
            # The cursor's user was deleted: go on from one before, in growing steps.
            # With none of them left, from the page's last millisecond, whether Clerk
            # takes that bound as inclusive or not.
            cursors.pop()
            if not cursors:
                if newest is None or created_after == newest - _MILLISECOND:
                    raise ClerkUnavailableError(_LOST) from error
                created_after = newest - _MILLISECOND
            continue
        yield page
        if len(page) < PAGE_LIMIT:
            return
        if not page.ids:
            raise ClerkUnavailableError(_LOST)
        cursors = _cursors(page.ids)
        newest = max((u.created_at for u in page.users if u.created_at), default=newest)


def _cursors(ids: list[str]) -> list[str]:
    """The first id, and those 256, 128, … 2 and 1 from the end: the last is best."""
    steps = [2**power for power in range(len(ids).bit_length())]
    return [ids[0], *(ids[-step] for step in reversed(steps) if step < len(ids))]


def updated_pages(clerk: ClerkApi, *, since: datetime) -> Iterator[Page]:
    """Every user updated since a time of Clerk's clock, last updated first.

    Clerk has no filter and no cursor for this, only an offset. Users updated meanwhile
    move to the front and push others back: some come twice. Users deleted meanwhile
    pull others forward: a page that shares nobody with the one before may have left
    some out, and the walk steps back.
    """
    offset = 0
    seen: set[str] = set()
    while True:
        page = clerk.updated_page(offset=offset)
        if offset and seen.isdisjoint(page.ids):
            offset = max(0, offset - PAGE_LIMIT // 2)
            continue
        yield page
        oldest = min((user.updated_at for user in page.users), default=None)
        if len(page) < PAGE_LIMIT or (oldest is not None and oldest < since):
            return
        seen = set(page.ids)
        offset += PAGE_LIMIT - _OFFSET_OVERLAP
