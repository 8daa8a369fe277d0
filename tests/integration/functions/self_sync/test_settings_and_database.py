"""Errors of the operator, and the way to the database."""

import psycopg
import pytest

from tests.doors import (
    UNREACHABLE,
    assert_tells_nothing_private,
    kill_connections,
    log_lines,
    untouched,
)
from tests.integration.functions.self_sync.door import ROUTES, Door


def test_a_wrong_secret_key_is_the_operators_error(
    door: Door,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Neither the browser's nor one that passes: a 500, explained in the log."""
    monkeypatch.setenv("CLERK_SECRET_KEY", "sk_test_wrong")
    capsys.readouterr()
    with untouched(connection):
        answer = door.sync()
    assert answer.status == 500
    assert answer.error
    output = capsys.readouterr().out
    assert "CLERK_SECRET_KEY" in output
    assert_tells_nothing_private(output)
    assert door.asked() == 1


@pytest.mark.parametrize("name", ["CLERK_SECRET_KEY", "DATABASE_URL"])
def test_a_setting_that_is_missing_is_named(
    door: Door, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A 500 that says what to set."""
    monkeypatch.delenv(name)
    answer = door.sync()
    assert answer.status == 500
    assert name in answer.error


# The database.


@pytest.mark.parametrize("method_and_path", ROUTES, ids=lambda route: route[1])
def test_an_unreachable_database_is_a_500(
    door: Door,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    method_and_path: tuple[str, str],
) -> None:
    """Without detail to the browser; the log says so without the URL."""
    monkeypatch.setenv("DATABASE_URL", UNREACHABLE)
    capsys.readouterr()
    answer = door.ask(*method_and_path, door.token())
    assert answer.status == 500
    assert answer.error
    (line,) = log_lines(capsys.readouterr().out, "request failed")
    assert line["error"] == "DatabaseUnreachableError"


@pytest.mark.parametrize("method_and_path", ROUTES, ids=lambda route: route[1])
@pytest.mark.usefixtures("known")
def test_a_dead_connection_is_replaced(
    door: Door, connection: psycopg.Connection, method_and_path: tuple[str, str]
) -> None:
    """An execution environment that slept survives what its connection did not."""
    kill_connections(connection)
    assert door.ask(*method_and_path, door.token()).status == 200
