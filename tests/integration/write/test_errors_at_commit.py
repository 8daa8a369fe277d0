"""Errors that only a COMMIT raises: of deferred constraints and triggers."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from clerksync.errors import DeletionBlockedError
from clerksync.mapping.file import parse
from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate
from clerksync.write.user_batches import UserBatches
from tests.integration.write.test_refused_rows import MAPPING, MEMBERS
from tests.people import a_user, user_id

pytestmark = pytest.mark.alters_schema

DEFERRED = "DEFERRABLE INITIALLY DEFERRED"
REFUSES = "IF NEW.first = 'Bad' THEN {} END IF; RETURN NEW;"
RULES = {
    "a trigger": "RAISE sqlstate 'PT402';",
    "a trigger that sounds like an index": "RAISE unique_violation;",
    "a trigger that sounds like a full disk": "RAISE disk_full;",
    "a foreign key": "",
}
BAD = (7, 150, 151)


def at_commit(connection: psycopg.Connection, on: str, body: str) -> None:
    """On each row of `members`."""
    connection.execute(
        f"CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {body} END$$;"
        f"CREATE CONSTRAINT TRIGGER t AFTER {on} ON members {DEFERRED}"
        " FOR EACH ROW EXECUTE FUNCTION t()".encode()
    )


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(MEMBERS)
        yield connection


@pytest.fixture
def members(database: Database, connection: psycopg.Connection) -> UserBatches:
    del connection  # which made the table
    mapping = parse(MAPPING.format(more=""), name="members")
    migrate(database, mapping=mapping)
    return UserBatches(database, mapping=mapping)


@pytest.fixture(params=RULES)
def refusing(
    request: pytest.FixtureRequest, members: UserBatches, connection: psycopg.Connection
) -> UserBatches:
    """A table that at COMMIT refuses all who are called Bad."""
    if raising := RULES[request.param]:
        at_commit(connection, "INSERT OR UPDATE", REFUSES.format(raising))
    else:
        connection.execute(
            "CREATE TABLE names (name text PRIMARY KEY);"
            "INSERT INTO names VALUES ('Noor'), ('New');"
            f"ALTER TABLE members ADD FOREIGN KEY (first) REFERENCES names {DEFERRED}"
        )
    return members


def people(version: int, name: str) -> list[Any]:
    """Two hundred, three of them bad."""
    called: Callable[[int], str] = lambda n: "Bad" if n in BAD else name  # noqa: E731
    return [a_user(n, version=version, first_name=called(n)) for n in range(200)]


@pytest.mark.parametrize("stored", [False, True], ids=["created", "updated"])
def test_a_row_that_is_refused_at_commit_costs_that_row_only(
    refusing: UserBatches, connection: psycopg.Connection, *, stored: bool
) -> None:
    """It is named, and what is known of it stays as it was."""
    if stored:
        refusing.upsert_many([a_user(n, version=1) for n in range(200)])
    outcome = refusing.upsert_many(people(2, "New"))
    refused = {user_id(n) for n in BAD}
    assert set(outcome.failed) == refused
    assert {line.partition(":")[0] for line in outcome.failures} == refused
    assert outcome.created + outcome.updated == 197
    new = connection.execute("SELECT clerk FROM members WHERE first = 'New'")
    assert {row[0] for row in new} == {user_id(n) for n in range(200)} - refused
    again = refusing.upsert_many(people(2, "New"))
    assert (set(again.failed), again.unchanged) == (refused, 197)


def test_rows_that_are_refused_at_commit_cost_no_more_attempts_than_others(
    members: UserBatches,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One transaction that is refused, one of none, and one that isolates the rows."""
    at_commit(connection, "INSERT", REFUSES.format("RAISE sqlstate 'PT402';"))
    attempts: list[int] = []
    run = Database.run

    def counting(database: Database, work: Any) -> Any:
        attempts.append(1)
        return run(database, work)

    members.upsert_many([a_user(500)])  # what is read once has been read
    monkeypatch.setattr(Database, "run", counting)
    members.upsert_many([a_user(501)])
    usual = len(attempts)
    attempts.clear()
    assert len(members.upsert_many(people(1, "New")).failed) == len(BAD)
    assert len(attempts) == usual + 2


def test_a_deletion_that_is_refused_at_commit_leaves_no_tombstone(
    members: UserBatches, connection: psycopg.Connection
) -> None:
    """The row is still there."""
    members.upsert(a_user(1))
    connection.execute(f"CREATE TABLE posts (who text REFERENCES members {DEFERRED})")
    connection.execute("INSERT INTO posts VALUES (%s)", [user_id(1)])
    with pytest.raises(DeletionBlockedError, match="posts_who_fkey"):
        members.delete_user(user_id(1))
    kept = "SELECT deleted_at FROM sync_state JOIN members ON clerk = clerk_id"
    assert connection.execute(kept).fetchall() == [(None,)]


def test_a_row_that_comes_back_at_commit_has_no_tombstone(
    members: UserBatches, connection: psycopg.Connection
) -> None:
    """A trigger undoes the deletion after our statements."""
    members.upsert(a_user(1))
    at_commit(connection, "DELETE", "INSERT INTO members SELECT OLD.*; RETURN NULL;")
    with pytest.raises(DeletionBlockedError):
        members.delete_user(user_id(1))
