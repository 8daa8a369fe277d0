"""Hand a batch of rows to a function of the database, by COPY."""

from collections.abc import Sequence
from typing import Any, Final

import psycopg
from psycopg import sql

from clerksync.write.locks import ONE_ROW, SEVERAL_ROWS
from clerksync.write.rows import StagedRow
from clerksync.write.sql_functions import Function, WritePath

# Large enough that the calls do not count, small enough for a socket's buffer.
_LINES_AT_ONCE: Final = 500
_ONE_ROW: Final = sql.SQL(f"{ONE_ROW}; ")
_SEVERAL_ROWS: Final = sql.SQL(f"{SEVERAL_ROWS}; ")
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
            connection,
            path,
            rows,
            first=_SEVERAL_ROWS if len(rows) > 1 else _ONE_ROW,
        )
        return one_row(connection, function.call, flags)


def stage(
    connection: psycopg.Connection,
    path: WritePath,
    rows: Sequence[StagedRow],
    *,
    first: sql.Composable = _NOTHING,
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
