"""Read the row of a user."""

from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from clerksync.mapping.table import TableMapping
from clerksync.postgres.database import Database
from clerksync.write.identifiers import identifiers


def find_user(
    database: Database, mapping: TableMapping, schema: str, clerk_id: str
) -> dict[str, Any] | None:
    """Return the row of a user that is not deleted: the mapped columns, as stored."""
    shown = sql.SQL(", ").join(map(sql.Identifier, mapping.shown))
    query = sql.SQL(
        "SELECT {shown} FROM {users} AS u WHERE u.{key} = %s AND {live}"
    ).format(shown=shown, **identifiers(mapping, schema))

    def work(connection: psycopg.Connection) -> dict[str, Any] | None:
        # In text, extra_float_digits would decide how much of a number is seen.
        with connection.cursor(binary=True, row_factory=dict_row) as cursor:
            return cursor.execute(query, [clerk_id]).fetchone()

    row = database.run(work)
    return row and {name: _as_read(value) for name, value in row.items()}


def _as_read(value: Any) -> Any:
    """Return a time in UTC, whatever the time zone of the session, and columns without
    a time zone are written in UTC. Types that psycopg does not know are text."""
    if isinstance(value, datetime):
        is_aware = value.tzinfo is not None
        return value.astimezone(UTC) if is_aware else value.replace(tzinfo=UTC)
    return value.decode() if isinstance(value, bytes) else value
