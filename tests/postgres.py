"""The real Postgres that tests run on, and databases of their own in it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate
from local.stack.embedded_postgres import embedded_postgres

_numbers = count()


@contextmanager
def postgres_server() -> Iterator[str]:
    """The URL of the server in CLERKSYNC_TEST_DATABASE_URL, or of an embedded one."""
    given = os.environ.get("CLERKSYNC_TEST_DATABASE_URL")
    if given:
        yield given
        return
    with embedded_postgres() as url:
        with psycopg.connect(url, autocommit=True) as admin:
            # What tests write need not survive a power cut.
            admin.execute("ALTER SYSTEM SET fsync = off")
            # Now and then it would lock a table that a test thinks is its own.
            admin.execute("ALTER SYSTEM SET autovacuum = off")
            admin.execute("SELECT pg_reload_conf()")
        yield url


@contextmanager
def new_database(server_url: str) -> Iterator[str]:
    """The URL of a database with the schema in place and nothing in it."""
    name = sql.Identifier(f"clerksync_test_{os.getpid()}_{next(_numbers)}")
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(name))
        url = make_conninfo(server_url, dbname=name.as_string(admin).strip('"'))
        try:
            database = Database(lambda: url)
            migrate(database)
            database.close()
            yield url
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
