"""A migration that fails fails the deployment, with a reason that says what to do."""

import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from functions.migrate import app
from tests.doors import UNREACHABLE, log_lines
from tests.integration.functions.migrate.stack import Stack
from tests.tables import rows

pytestmark = pytest.mark.alters_schema


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("DATABASE_URL", UNREACHABLE, "check the host and port of DATABASE_URL"),
        ("DATABASE_URL", "correct-horse", "DATABASE_URL is not a Postgres URL"),
        ("DATABASE_URL", "", "DATABASE_URL is not set"),
        ("CLERKSYNC_DATABASE_AUTH", "correct-horse", "must be password or iam"),
    ],
)
def test_a_setting_that_does_not_lead_to_a_database_is_named(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, name: str, value: str, advice: str
) -> None:
    """Without its value."""
    monkeypatch.setenv(name, value)
    answer = stack.ask("Create")
    assert answer["Status"] == "FAILED"
    assert advice in answer["Reason"]
    assert "correct-horse" not in answer["Reason"]
    assert answer["Reason"].endswith("Then deploy again.")


@pytest.mark.parametrize(
    ("existing", "advice"),
    [
        ("CREATE TABLE users (id text PRIMARY KEY)", 'column "email" does not exist'),
        ("CREATE TABLE sync_runs (mine text)", "CLERKSYNC_SCHEMA"),
    ],
)
def test_a_table_in_the_way_is_named_and_left_alone(
    stack: Stack, empty: psycopg.Connection, existing: str, advice: str
) -> None:
    """Nothing else is there afterwards."""
    empty.execute(existing.encode())
    answer = stack.ask("Create")
    assert answer["Status"] == "FAILED"
    assert advice in answer["Reason"]
    query = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    assert empty.execute(query).fetchone() == (1,)


def test_what_nobody_foresaw_is_told_by_its_kind_alone(
    stack: Stack, empty: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    """The messages of Postgres quote the data; the log says where it was."""
    empty.execute("CREATE TYPE sync_state AS ENUM ('Noor')")
    answer = stack.ask("Create")
    assert answer["Status"] == "FAILED"
    assert "DuplicateObject, SQLSTATE 42710" in answer["Reason"]
    assert "the log of the migrate function" in answer["Reason"]
    (line,) = log_lines(capsys.readouterr().out, "migration failed")
    assert line["sqlstate"] == "42710"


def test_a_role_without_rights_is_told_which(
    stack: Stack,
    empty: psycopg.Connection,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What to grant, and on what."""
    name = f"clerksync_test_reader_{os.getpid()}"
    role = sql.Identifier(name)
    empty.execute(sql.SQL("CREATE ROLE {}").format(role))
    url = make_conninfo(database_url, options=f"-c role={name}")
    monkeypatch.setenv("DATABASE_URL", url)
    try:
        answer = stack.ask("Create")
    finally:
        empty.execute(sql.SQL("DROP ROLE {}").format(role))
    assert answer["Status"] == "FAILED"
    assert "Grant it USAGE and CREATE" in answer["Reason"]


def test_a_table_that_somebody_holds_is_not_waited_for_in_vain(
    stack: Stack, connection: psycopg.Connection
) -> None:
    """Those who come later would wait behind the migration."""
    before = rows(connection, "clerksync_migrations")
    with connection.transaction():
        connection.execute("LOCK TABLE clerksync_migrations")
        answer = stack.ask("Update", before=6, seconds=25.5)
    assert answer["Status"] == "FAILED"
    assert "Another transaction holds a table" in answer["Reason"]
    assert rows(connection, "clerksync_migrations") == before


@contextmanager
def a_silent_server() -> Iterator[int]:
    """Takes connections, and never says a word."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]
    for thread in threading.enumerate():
        if thread.name == "migration":
            thread.join(20)


def test_a_server_that_says_nothing_does_not_hold_up_the_answer(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """25 seconds of Lambda's time are left for it."""
    with a_silent_server() as port:
        url = f"postgresql://nobody@127.0.0.1:{port}/nothing?connect_timeout=20"
        monkeypatch.setattr(app, "_GRACE_SECONDS", 0)
        monkeypatch.setenv("DATABASE_URL", url)
        answer = stack.ask("Create", seconds=25.5)
    assert answer["Status"] == "FAILED"
    assert "not done after" in answer["Reason"]


@pytest.fixture
def nothing_is_imported() -> Iterator[None]:
    """Of the layer. Afterwards, other tests find the modules that they know."""
    known = {n: m for n, m in sys.modules.items() if n.startswith("clerksync.")}
    for name in known:
        del sys.modules[name]
    yield
    for name in [n for n in sys.modules if n.startswith("clerksync.")]:
        del sys.modules[name]
    sys.modules.update(known)
    for name, module in known.items():
        package, _, child = name.rpartition(".")
        setattr(sys.modules[package], child, module)


@pytest.mark.parametrize("package", ["psycopg", "aws_lambda_powertools.logging"])
@pytest.mark.usefixtures("nothing_is_imported")
def test_a_layer_without_one_of_its_packages_fails_the_deployment(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    """At once, and by the package's name."""
    monkeypatch.setitem(sys.modules, package, None)
    answer = stack.ask("Create")
    assert answer["Status"] == "FAILED"
    assert f"The layer lacks something ({package})" in answer["Reason"]
