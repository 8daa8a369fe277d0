"""The real Postgres that all tests share, and a database of its own for each test."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from clerksync.database import Database
from clerksync.migrate import migrate
from clerksync.user_table import UserTable
from local.embedded_postgres import embedded_postgres

_numbers = count()


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The server in CLERKSYNC_TEST_DATABASE_URL, or the embedded one."""
    with ExitStack() as stack:
        url = os.environ.get("CLERKSYNC_TEST_DATABASE_URL")
        yield url or stack.enter_context(embedded_postgres())


@pytest.fixture(scope="session")
def template_database(server_url: str) -> Iterator[str]:
    """A migrated database, from which the others are cloned in 20 ms."""
    name = f"clerksync_template_{os.getpid()}"
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        database = Database(lambda: make_conninfo(server_url, dbname=name))
        migrate(database)
        database.close()
        yield name
        admin.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


@pytest.fixture
def database_url(server_url: str, template_database: str) -> Iterator[str]:
    """A database of this test's own, with the schema in place."""
    name = f"clerksync_test_{os.getpid()}_{next(_numbers)}"
    clone = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
        sql.Identifier(name), sql.Identifier(template_database)
    )
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(clone)
        yield make_conninfo(server_url, dbname=name)
        drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
        admin.execute(drop)


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
