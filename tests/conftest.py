"""The real Postgres that the tests share."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import psycopg
import pytest
from hypothesis import settings
from psycopg import sql
from psycopg.conninfo import make_conninfo

from clerksync.database import Database
from clerksync.migrate import migrate
from clerksync.user_table import UserTable
from local.embedded_postgres import embedded_postgres

_numbers = count()

# How long an example takes tells of the machine, not of the code.
settings.register_profile("clerksync", deadline=None)
settings.load_profile("clerksync")


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The server in CLERKSYNC_TEST_DATABASE_URL, or the embedded one."""
    given = os.environ.get("CLERKSYNC_TEST_DATABASE_URL")
    if given:
        yield given
        return
    with embedded_postgres() as url:
        with psycopg.connect(url, autocommit=True) as admin:
            # What tests write need not survive a power cut.
            admin.execute("ALTER SYSTEM SET fsync = off")
            admin.execute("SELECT pg_reload_conf()")
        yield url


@pytest.fixture(scope="session")
def shared_database(server_url: str) -> Iterator[str]:
    """The URL of a migrated database for the tests that only fill and read tables."""
    with _new_database(server_url) as url:
        yield url


@pytest.fixture
def database_url(request: pytest.FixtureRequest, server_url: str) -> Iterator[str]:
    """A database with the schema in place and nothing in it.

    Emptied after each test; one of its own for a test marked `alters_schema`.
    """
    if request.node.get_closest_marker("alters_schema"):
        with _new_database(server_url) as url:
            yield url
        return
    url = request.getfixturevalue("shared_database")
    yield url
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(
            "TRUNCATE users, rate_limits, sync_state, sync_runs, sync_run_listed"
        )


@contextmanager
def _new_database(server_url: str) -> Iterator[str]:
    name = sql.Identifier(f"clerksync_test_{os.getpid()}_{next(_numbers)}")
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(name))
        url = make_conninfo(server_url, dbname=name.as_string(admin).strip('"'))
        database = Database(lambda: url)
        migrate(database)
        database.close()
        yield url
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(lambda: database_url)
    yield database
    database.close()


@pytest.fixture
def users(database: Database) -> UserTable:
    return UserTable(database)


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    """A second look at the same database."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection
