"""What the tables say, seen over a connection that no function has."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString

import psycopg

Row = dict[str, Any]
"""The columns that come from Clerk; `clerk_created_at` in Unix milliseconds."""

_COLUMNS: Final = (
    "email",
    "first_name",
    "last_name",
    "name",
    "username",
    "phone_number",
    "image_url",
    "public_metadata",
    "banned",
    "clerk_created_at",
)
# One statement, and so one snapshot: between two, a transaction might commit.
_LOOK: LiteralString = """
    SELECT coalesce(u.id, s.clerk_id, r.user_id),
           u.id IS NOT NULL, u.email, u.first_name, u.last_name, u.name, u.username,
           u.phone_number, u.image_url, u.public_metadata, u.banned,
           (extract(epoch FROM u.clerk_created_at) * 1000)::bigint,
           u.tier, u.deleted_at, u.created_at, u.updated_at,
           s.clerk_id IS NOT NULL,
           (extract(epoch FROM s.clerk_updated_at) * 1000)::bigint,
           s.deleted_at, s.skipped, s.synced_at, s.confirmed_at,
           r.user_id IS NOT NULL,
           u.ctid::text, u.xmin::text, u.xmax::text
    FROM users AS u
    FULL JOIN sync_state AS s ON s.clerk_id = u.id
    FULL JOIN rate_limits AS r ON r.user_id = coalesce(u.id, s.clerk_id)
"""
_FOOTPRINT: Final = 3


@dataclass(frozen=True, slots=True)
class Seen:
    """All that is stored of one user."""

    row: Row | None
    """None for a user that has none, or is softly deleted."""
    remains: Row | None
    """The row of a user that is softly deleted."""
    tier: str | None
    known: bool
    version: int | None
    """Clerk's `updated_at` of the version last applied, in Unix milliseconds."""
    tombstone: datetime | None
    skipped: str | None
    companion: bool
    content: tuple[Any, ...]
    """Every column of all three tables, to be compared with that of another look."""
    footprint: tuple[Any, ...]
    """Changes when the row in `users` is written or locked."""


NOTHING: Final = Seen(
    None, None, None, False, None, None, None, False, (), (None,) * _FOOTPRINT
)

Look = dict[str, Seen]


def look(connection: psycopg.Connection) -> Look:
    return {record[0]: _seen(record) for record in connection.execute(_LOOK)}


def _seen(record: tuple[Any, ...]) -> Seen:
    _, has_row, *columns = record[:12]
    tier, deleted_at, _, _, known, version, tombstone, skipped = record[12:20]
    row = dict(zip(_COLUMNS, columns, strict=True)) if has_row else None
    return Seen(
        row=row if deleted_at is None else None,
        remains=row if deleted_at is not None else None,
        tier=tier,
        known=known,
        version=version,
        tombstone=tombstone,
        skipped=skipped,
        companion=record[22],
        content=record[:-_FOOTPRINT],
        footprint=record[-_FOOTPRINT:],
    )


def rows(seen: Look) -> set[str]:
    """Who has a row and is not deleted."""
    return {clerk_id for clerk_id, one in seen.items() if one.row is not None}
