"""Rows that the application keeps locked while clerksync works."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg


@contextmanager
def locked(
    database_url: str, key: str, *, table: str = "users", column: str = "id"
) -> Iterator[psycopg.Connection]:
    """Lock a row in a transaction of the application's, which the block may end."""
    with psycopg.connect(database_url) as connection:
        found = connection.execute(
            f"SELECT FROM {table} WHERE {column} = %s FOR UPDATE".encode(), [key]
        )
        assert found.rowcount == 1
        yield connection
