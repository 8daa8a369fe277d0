"""Hand a batch of rows to a function of the database, by COPY."""

from collections.abc import Sequence
from typing import Any, Final

import psycopg

from clerksync.write.rows import StagedRow
from clerksync.write.sql_functions import Function, WritePath

# Large enough that the calls do not count, small enough for a socket's buffer.
_LINES_AT_ONCE: Final = 500


def call_staged(
    connection: psycopg.Connection,
    path: WritePath,
    function: Function,
    rows: Sequence[StagedRow],
    flags: Sequence[Any],
) -> tuple[Any, ...]:
    """Stage rows, one for each user, and return what the function says of them. One
    transaction."""
    with connection.transaction():
        stage(connection, path, rows)
        return one_row(connection, function.call, flags)


def stage(
    connection: psycopg.Connection, path: WritePath, rows: Sequence[StagedRow]
) -> None:
    """Put rows into the staging table, which goes with the transaction."""
    connection.execute(path.create_staging)
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
