"""Walks over Clerk's user listing that survive what happens to users meanwhile."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from clerksync.clerk_api import PAGE_LIMIT, ClerkApi, Page
from clerksync.errors import ClerkRequestError

_MILLISECOND: Final = timedelta(milliseconds=1)
# Clerk does not say how it refuses a cursor whose user is gone.
_LOST_CURSOR: Final = frozenset({400, 404, 410, 422})
# Users read again at each step of an offset walk: as many may be deleted in between.
_OFFSET_OVERLAP: Final = 20


def created_pages(clerk: ClerkApi, *, created_before: datetime) -> Iterator[Page]:
    """Every user created before a time of Clerk's clock, oldest first.

    A user who lives throughout the walk is in one of the pages; after a lost cursor,
    some users are in two.
    """
    created_after: datetime | None = None
    seen: list[str] = []
    newest: datetime | None = None
    while True:
        cursor = seen[-1] if seen else None
        try:
            page = clerk.created_page(
                created_after=created_after,
                created_before=created_before,
                starting_after=cursor,
            )
        except ClerkRequestError as error:
            if cursor is None or error.status not in _LOST_CURSOR:
                raise
            # The cursor's user was deleted: go on from the one before. With the whole
            # page gone, from its last millisecond, whether or not the bound is in it.
            seen.pop()
            if not seen and newest is not None:
                created_after = newest - _MILLISECOND
            continue
        yield page
        if len(page) < PAGE_LIMIT:
            return
        seen = page.ids
        newest = max((u.created_at for u in page.users if u.created_at), default=newest)


def updated_pages(clerk: ClerkApi, *, since: datetime) -> Iterator[Page]:
    """Every user updated since a time of Clerk's clock, last updated first.

    Clerk has no filter and no cursor for this, only an offset. Users updated during
    the walk move to the front and push others towards the end: some come twice, none
    is missed by it.
    """
    offset = 0
    while True:
        page = clerk.updated_page(offset=offset)
        yield page
        oldest = min((user.updated_at for user in page.users), default=None)
        if len(page) < PAGE_LIMIT or (oldest is not None and oldest < since):
            return
        offset += PAGE_LIMIT - _OFFSET_OVERLAP
