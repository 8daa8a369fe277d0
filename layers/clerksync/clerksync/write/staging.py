"""Hand a batch of rows to a function of the database, by COPY."""

from collections.abc import Sequence
from typing import Any, Final

import psycopg
from psycopg import sql

from clerksync.write.rows import StagedRow
from clerksync.write.sql_functions import Function, WritePath

# Large enough that the calls do not count, small enough for a socket's buffer.
_LINES_AT_ONCE: Final = 500
# Nobody should wait for long until a batch unlocks what it writes.
_NOT_FOR_LONG: Final = sql.SQL("SET LOCAL statement_timeout = '1s'; ")
_NOTHING: Final = sql.SQL("")


def call_staged(
    connection: psycopg.Connection,
    path: WritePath,
    function: Function,
    rows: Sequence[StagedRow],
    flags: Sequence[Any],
) -> tuple[Any, ...]:
    """Stage rows, one for each user, and return what the function says of them. One
    transaction, of a second or so at most if there is more than one row."""
    with connection.transaction():
        stage(
            connection, path, rows, first=_NOT_FOR_LONG if len(rows) > 1 else _NOTHING
        )
        return one_row(connection, function.call, flags)


def stage(
    connection: psycopg.Connection,
    path: WritePath,
    rows: Sequence[StagedRow],
    *,
    first: sql.SQL = _NOTHING,
) -> None:
    """Put rows into the staging table, which goes with the transaction. `first` is sent
    with it, and costs no round trip."""
    connection.execute(first + path.create_staging)
    with connection.cursor().copy(path.copy_staging) as copy:
        for at in range(0, len(rows), _LINES_AT_ONCE):
            part = rows[at : at + _LINES_AT_ONCE]
            copy.write("".join([f"{line}\n" for _, _, line in part]))


def one_row(
    connection: psycopg.Connection, query: Any, parameters: Sequence[Any] | None = None
) -> tuple[Any, ...]:
    """Return the row of a query that always gives one."""
    # In binary, a time is the same whatever DateStyle the session has.
    row = connection.execute(query, parameters, binary=True).fetchone()
    if row is None:
        raise AssertionError("a query that always gives one row gave none")
    return row
