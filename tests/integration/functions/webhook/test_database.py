"""The webhook's way to the database, and what bars it."""

import json

import psycopg
import pytest

from clerksync.doors import http_api
from tests.doors import (
    UNREACHABLE,
    assert_tells_nothing_private,
    kill_connections,
    log_lines,
    untouched,
)
from tests.integration.functions.webhook.door import Door, action
from tests.people import user_id, user_json
from tests.tables import locked, rows


def test_an_unreachable_database_is_a_500_and_the_retry_succeeds(
    door: Door,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing is acknowledged that is not stored; the same delivery works later."""
    body = json.dumps(door.clerk.event("user.created", user_json())).encode()
    headers = door.clerk.sign(body)
    monkeypatch.setenv("DATABASE_URL", UNREACHABLE)
    answer = door.post(body, headers)
    assert answer.status == 500
    assert answer.error
    output = capsys.readouterr().out
    assert_tells_nothing_private(output)
    assert log_lines(output, "request failed")[0]["level"] == "ERROR"
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert action(door.post(body, headers)) == "created"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "correct-horse battery"),
        ("CLERKSYNC_SCHEMA", "not_migrated"),
        ("CLERKSYNC_REQUIRE_EMAIL", "correct-horse"),
        ("CLERKSYNC_DELETE_MODE", "correct-horse"),
    ],
)
def test_a_setting_that_cannot_be_used_is_a_500_without_its_value(
    door: Door,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
) -> None:
    """A mistake of the operator is never the sender's: it shall try again."""
    monkeypatch.setenv(name, value)
    with untouched(connection):
        answer = door.created()
    assert answer.status == 500
    assert "correct-horse" not in answer.error


def test_a_failure_inside_the_database_is_a_500_without_detail(
    door: Door, connection: psycopg.Connection
) -> None:
    """What the application's own constraint objects to is not told to strangers."""
    connection.execute(
        "ALTER TABLE users ADD CONSTRAINT grumpy CHECK (first_name <> 'Noor')"
    )
    try:
        with untouched(connection):
            answer = door.created()
    finally:
        connection.execute("ALTER TABLE users DROP CONSTRAINT grumpy")
    assert answer.status == 500
    assert "grumpy" not in answer.error


@pytest.mark.usefixtures("known")
def test_a_dead_connection_is_replaced(
    door: Door, connection: psycopg.Connection
) -> None:
    """An execution environment that slept survives what its connection did not."""
    kill_connections(connection)
    assert action(door.updated(last_name="Ibarra")) == "updated"
    assert rows(connection)[user_id(1)]["name"] == "Noor Ibarra"


def test_a_lock_that_somebody_holds_is_a_500_and_the_retry_succeeds(
    door: Door, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clerk's sender has its answer while it still waits for one."""
    monkeypatch.setattr(http_api, "_SECONDS", 0.3)
    with locked(database_url):
        assert door.created().status == 500
    assert action(door.created()) == "created"
