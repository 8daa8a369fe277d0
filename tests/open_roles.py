"""The roles of PostgREST, and default privileges that let them do all."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

_OPEN = """
    GRANT USAGE ON SCHEMA public TO anon, authenticated;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public
        GRANT ALL ON TABLES TO anon, authenticated;
"""


@contextmanager
def open_roles(connection: psycopg.Connection) -> Iterator[None]:
    """Make the roles, which all databases of the server share, if they are missing.

    Other tests may be using them at once, so they stay: as names without any right.
    """
    for role in ("anon", "authenticated"):
        try:
            connection.execute(f"CREATE ROLE {role}".encode())
        except (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
            continue
    connection.execute(_OPEN)
    try:
        yield
    finally:
        connection.execute("RESET ROLE")
        connection.execute("DROP OWNED BY anon, authenticated")
