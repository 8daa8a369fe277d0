"""An application with a table of its own, in a database whose clock is not in UTC."""

import os
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from clerksync.clerk.session_token import SessionVerifier
from clerksync.mapping.file import load
from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate
from clerksync.write.user_batches import UserBatches
from functions.bulk_sync import app as bulk_sync
from functions.self_sync import app as self_sync
from functions.webhook import app as webhook
from local.stub_clerk.stub import StubClerk
from tests.applications import TABLES
from tests.doors import (
    ask_this_clerk,
    assert_tells_nothing_private,
    forget_settings,
    log_on_stdout,
)
from tests.integration.mapping.application import Application
from tests.integration.mapping.people import Make, mapping_of_people

SCHEMA = "clerksync"


@pytest.fixture
def table_of(database: Database, connection: psycopg.Connection) -> Make:
    """`people`, with the columns and the mapping that a test needs."""
    connection.execute("CREATE SCHEMA ours")

    def make(
        columns: str,
        *,
        table: str = "",
        mapped: str = "",
        mail: str = '"email"',
        **more: Any,
    ) -> UserBatches:
        connection.execute(f"CREATE TABLE people ({columns})".encode())
        mapping = mapping_of_people(table=table, mapped=mapped, mail=mail)
        default_tier = more.get("default_tier", "FREE")
        migrate(database, schema="ours", mapping=mapping, default_tier=default_tier)
        return UserBatches(database, mapping=mapping, schema="ours", **more)

    return make


@pytest.fixture(scope="module", params=list(TABLES))
def preset(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def mapped_url(preset: str, server_url: str) -> Iterator[str]:
    """A database with the application's tables, and ours in a schema of their own."""
    name = f"clerksync_{preset.replace('-', '_')}_{os.getpid()}"
    identifier = sql.Identifier(name)
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(identifier))
        admin.execute(
            sql.SQL("ALTER DATABASE {} SET timezone = 'Asia/Kolkata'").format(
                identifier
            )
        )
        url = make_conninfo(server_url, dbname=name)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(TABLES[preset])
        with closing(Database(lambda: url)) as database:
            migrate(database, schema=_schema(preset), mapping=load(preset))
        yield url
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


def _schema(preset: str) -> str:
    """Presets that name no schema expect the tables beside ours."""
    return SCHEMA if load(preset).schema else "public"


@pytest.fixture(scope="module")
def clerk() -> Iterator[StubClerk]:
    with StubClerk() as clerk:
        yield clerk
        for app in (bulk_sync, self_sync):
            app.clerk._http.clear()


@pytest.fixture
def application(
    preset: str,
    mapped_url: str,
    clerk: StubClerk,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Application]:
    """All three functions, as deployed with CLERKSYNC_MAPPING."""
    forget_settings(monkeypatch)
    monkeypatch.setenv("DATABASE_URL", mapped_url)
    monkeypatch.setenv("CLERKSYNC_MAPPING", preset)
    monkeypatch.setenv("CLERKSYNC_SCHEMA", _schema(preset))
    ask_this_clerk(monkeypatch, clerk)
    monkeypatch.setenv("CLERK_ISSUER", clerk.issuer)
    monkeypatch.setenv("CLERK_WEBHOOK_SIGNING_SECRET", clerk.webhook_signing_secret)
    monkeypatch.setattr(self_sync, "sessions", SessionVerifier(self_sync.clerk.jwks))
    with (
        log_on_stdout(),
        psycopg.connect(mapped_url, autocommit=True) as connection,
    ):
        yield Application(clerk, load(preset), connection, _schema(preset))
        for app in (webhook, self_sync, bulk_sync):
            app.database.close()
        for clerk_id in clerk.ids():
            clerk.delete_user(clerk_id)
        _empty(connection)
    assert_tells_nothing_private(capsys.readouterr().out)


def _empty(connection: psycopg.Connection) -> None:
    tables = connection.execute(
        "SELECT schemaname, tablename FROM pg_tables"
        " WHERE schemaname !~ '^(pg_|information_schema)'"
        " AND tablename NOT IN ('clerksync_migrations', 'tiers')"
    ).fetchall()
    names = [sql.Identifier(*table) for table in tables]
    connection.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(names)))
