"""What self-sync writes down."""

import psycopg
import pytest

from tests.doors import (
    assert_tells_nothing_private,
    log_lines,
)
from tests.integration.functions.self_sync.door import Door


def test_every_sync_is_logged_and_counted(
    door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line with the id and the action; one metric by action."""
    capsys.readouterr()
    door.sync()
    output = capsys.readouterr().out
    (line,) = log_lines(output, "self-sync")
    assert (line["clerk_id"], line["action"]) == (door.user_id, "created")
    assert '"SelfSyncsCreated":[1' in output
    assert_tells_nothing_private(output)


@pytest.mark.alters_schema
def test_a_row_that_the_table_refuses_is_logged_with_the_id_of_its_user(
    door: Door, connection: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    """The browser learns nothing of the application's own rules."""
    connection.execute(
        "CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE sqlstate 'PT402'; END$$;"
        "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON users DEFERRABLE INITIALLY"
        " DEFERRED FOR EACH ROW EXECUTE FUNCTION t()"
    )
    capsys.readouterr()
    answer = door.sync()
    (line,) = log_lines(capsys.readouterr().out, "request failed")
    assert (answer.status, line["sqlstate"]) == (500, "PT402")
    assert line["clerk_id"] == door.user_id


@pytest.mark.usefixtures("known")
def test_a_refusal_is_logged_without_the_token(
    door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says that somebody was refused, and not with what."""
    token = door.token(lifetime_seconds=-60)
    capsys.readouterr()
    door.sync(token)
    output = capsys.readouterr().out
    (line,) = log_lines(output, "request refused")
    assert (line["status"], line["error"]) == (401, "NotAuthenticatedError")
    assert_tells_nothing_private(output, *token.split("."))
