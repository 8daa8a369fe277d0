"""Users whom the application's own table refuses: a 500 that names them in the log."""

import psycopg
import pytest

from tests.doors import log_lines
from tests.integration.functions.webhook.door import Door, action
from tests.people import user_id
from tests.tables import rows

pytestmark = pytest.mark.alters_schema

REFUSES = "IF NEW.email LIKE '%@banned.example.com' THEN {} END IF; RETURN NEW;"
ROW = "CREATE TRIGGER t BEFORE INSERT OR UPDATE"
AT_COMMIT = "CREATE CONSTRAINT TRIGGER t AFTER INSERT OR UPDATE"
DEFERRED = "DEFERRABLE INITIALLY DEFERRED"
TRIGGERS = {
    "an error of its own": ("RAISE sqlstate 'PT402';", ROW, ""),
    "a missing privilege": ("RAISE sqlstate '42501';", ROW, ""),
    "a swallowed row": ("RETURN NULL;", ROW, ""),
    "an error at COMMIT": ("RAISE sqlstate 'PT402';", AT_COMMIT, DEFERRED),
    "a unique violation at COMMIT": ("RAISE unique_violation;", AT_COMMIT, DEFERRED),
}


def refuse(connection: psycopg.Connection, does: str, when: str, how: str) -> None:
    """Let a trigger of `users` refuse emails of one domain."""
    connection.execute(
        "CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$BEGIN {REFUSES.format(does)} END$$;"
        f"{when} ON users {how} FOR EACH ROW EXECUTE FUNCTION t()".encode()
    )


@pytest.mark.parametrize("trigger", TRIGGERS.values(), ids=TRIGGERS)
@pytest.mark.parametrize("known", [False, True], ids=["created", "updated"])
def test_a_row_that_is_refused_is_a_500_and_the_log_names_the_user(
    door: Door,
    connection: psycopg.Connection,
    capsys: pytest.CaptureFixture[str],
    trigger: tuple[str, str, str],
    *,
    known: bool,
) -> None:
    """The sender retries; nothing is stored, and other users are not concerned."""
    if known:
        door.created()
    refuse(connection, *trigger)
    capsys.readouterr()
    before = rows(connection), rows(connection, "sync_state")
    answer = door.updated(email="x@banned.example.com")
    assert answer.status == 500
    assert (rows(connection), rows(connection, "sync_state")) == before
    output = capsys.readouterr().out
    lines = log_lines(output, "request failed") + log_lines(output, "request refused")
    assert [line["clerk_id"] for line in lines] == [user_id(1)]
    assert lines[0]["sqlstate"]
    assert action(door.created(2)) == "created"
    (line,) = log_lines(capsys.readouterr().out, "webhook applied")
    assert line["clerk_id"] == user_id(2)


@pytest.mark.usefixtures("known")
def test_a_deletion_that_is_refused_at_commit_is_a_500_without_a_tombstone(
    door: Door, connection: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    """A foreign key that is deferred objects only then."""
    connection.execute(
        "CREATE TABLE posts (author text REFERENCES users DEFERRABLE INITIALLY"
        " DEFERRED)"
    )
    connection.execute("INSERT INTO posts VALUES (%s)", [user_id(1)])
    capsys.readouterr()
    assert door.deleted().status == 500
    (line,) = log_lines(capsys.readouterr().out, "request failed")
    assert (line["clerk_id"], line["constraint"]) == (user_id(1), "posts_author_fkey")
    assert rows(connection).keys() == {user_id(1)}
    assert rows(connection, "sync_state")[user_id(1)]["deleted_at"] is None
