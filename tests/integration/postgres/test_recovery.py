"""A database that comes back, or may be written to again."""

from contextlib import closing

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from clerksync.errors import DatabaseUnreachableError
from clerksync.postgres.database import Database
from tests.tables import rows


def backend(connection: psycopg.Connection) -> int:
    return connection.info.backend_pid


def write(connection: psycopg.Connection) -> int:
    connection.execute("INSERT INTO users (id) VALUES ('user_1')")
    return backend(connection)


def test_a_server_that_is_back_is_found_again(database_url: str) -> None:
    """A failed attempt leaves nothing behind."""
    url = "postgresql://127.0.0.1:1/none"
    with closing(Database(lambda: url)) as database:
        with pytest.raises(DatabaseUnreachableError):
            database.run(backend)
        url = database_url
        assert database.run(backend) > 0


def test_a_session_that_is_read_only_is_replaced(
    database: Database, connection: psycopg.Connection
) -> None:
    """Begun while writing was off, or with what is now a standby: else every request of
    this environment would fail."""

    def turn_read_only(mine: psycopg.Connection) -> int:
        mine.execute("SET default_transaction_read_only = on")
        return backend(mine)

    assert database.run(turn_read_only) != database.run(write)
    assert list(rows(connection)) == ["user_1"]


def test_a_database_that_is_read_only_is_told_of(
    database_url: str, connection: psycopg.Connection
) -> None:
    """Tried again once; the session is not kept, as writing may be on for the next."""
    options = "-c default_transaction_read_only=on"
    url = make_conninfo(database_url, options=options)
    with closing(Database(lambda: url)) as database:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            database.run(write)
        assert database._connection is None
    assert rows(connection) == {}
