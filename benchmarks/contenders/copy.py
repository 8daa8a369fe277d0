"""A limit: COPY of the rows that clerksync wrote into empty tables, a commit each.

The tables have all their indexes and the foreign key. The rows were exported before.
"""

import os
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from benchmarks.contenders.stopwatch import tell

# The order matters: rate_limits refers to users.
TABLES: Final = ("users", "rate_limits", "sync_state")
COPY: Final = sql.SQL("COPY {} {} (FORMAT binary)")
_CHUNK: Final = 1 << 18


def _work() -> dict[str, int]:
    folder = Path(os.environ["BENCHMARK_FOLDER"])
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        return {table: _copy(connection, folder, table) for table in TABLES}


def _copy(connection: psycopg.Connection, folder: Path, table: str) -> int:
    """How many rows were written, and are committed."""
    statement = COPY.format(sql.Identifier(table), sql.SQL("FROM STDIN"))
    cursor = connection.cursor()
    with (folder / table).open("rb") as rows, cursor.copy(statement) as copy:
        while chunk := rows.read(_CHUNK):
            copy.write(chunk)
    return cursor.rowcount


if __name__ == "__main__":
    tell(_work)
