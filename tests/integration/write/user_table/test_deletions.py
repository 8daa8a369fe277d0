"""Deleted users: tombstones, proof that brings back, soft deletion."""

import psycopg

from clerksync.postgres.database import Database
from tests.integration.write.user_table.writer import Writer
from tests.people import a_user, user_id
from tests.tables import rows


def test_a_deleted_user_stays_deleted(
    writer: Writer, connection: psycopg.Connection
) -> None:
    """A late event, however new, does not revive; the rate limit went with the row."""
    writer.write(a_user())
    assert writer.table.delete([user_id(1)]) == 1
    assert writer.write(a_user(version=99)).tombstoned == [user_id(1)]
    assert rows(connection) == {}
    assert rows(connection, "rate_limits") == {}


def test_a_deletion_before_the_creation_wins(
    writer: Writer, connection: psycopg.Connection
) -> None:
    """Deleting an unknown user leaves a tombstone for the creation to meet."""
    assert writer.table.delete([user_id(1)]) == 0
    assert writer.write(a_user()).action == "skipped"
    assert rows(connection) == {}


def test_proof_asked_after_the_tombstone_brings_the_user_back(
    writer: Writer, connection: psycopg.Connection
) -> None:
    """Clerk, asked by id later than the deletion, still knew the user."""
    writer.write(a_user())
    writer.table.delete([user_id(1)])
    outcome = writer.write(a_user(), confirmed_at=writer.table.clock())
    assert outcome.action == "created"
    assert rows(connection, "sync_state")[user_id(1)]["deleted_at"] is None
    assert writer.write(a_user(version=1, first_name="X")).action == "updated"


def test_proof_asked_before_the_tombstone_does_not_count(
    writer: Writer, connection: psycopg.Connection
) -> None:
    """Clerk was asked, then the user was deleted, then the answer is applied."""
    asked_at = writer.table.clock()
    writer.table.delete([user_id(1)])
    assert writer.write(a_user(), confirmed_at=asked_at).tombstoned == [user_id(1)]
    assert rows(connection) == {}


def test_a_second_deletion_moves_the_tombstone(writer: Writer) -> None:
    """A proof asked between two deletions is older than the one that counts."""
    writer.table.delete([user_id(1)])
    asked_at = writer.table.clock()
    writer.table.delete([user_id(1)])
    assert writer.write(a_user(), confirmed_at=asked_at).tombstoned == [user_id(1)]


def test_a_deletion_spares_who_was_synced_since(
    writer: Writer, connection: psycopg.Connection
) -> None:
    """An orphan that any door wrote after the run began is none."""
    writer.write(a_user(1))
    since = writer.table.clock()
    writer.write(a_user(2))
    gone = [user_id(1), user_id(2)]
    assert writer.table.delete(gone, unless_synced_since=since) == 1
    assert list(rows(connection)) == [user_id(2)]


def test_a_soft_deletion_keeps_the_row_and_forgets_the_person(
    database: Database, door: str, connection: psycopg.Connection
) -> None:
    """References stay valid, personal data and the rate limit go, the email is free."""
    writer = Writer(database, door, soft_delete=True)
    writer.write(a_user(username="noorc", public_metadata={"a": 1}))
    assert writer.table.delete([user_id(1)]) == 1
    row = rows(connection)[user_id(1)]
    personal = ("email", "first_name", "name", "username", "public_metadata")
    assert [row[name] for name in personal] == [None] * 5
    assert row["deleted_at"] is not None
    assert rows(connection, "rate_limits") == {}
    assert writer.table.find(user_id(1)) is None
    assert writer.write(a_user(2, email="user1@example.com")).action == "created"
    assert writer.table.delete([user_id(1)]) == 0
    back = a_user(version=1, email="back@example.com")
    writer.write(back, confirmed_at=writer.table.clock())
    row = rows(connection)[user_id(1)]
    assert (row["deleted_at"], row["email"]) == (None, "back@example.com")
    assert len(rows(connection, "rate_limits")) == 2
