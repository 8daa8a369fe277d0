"""What a dry run says of each user is what the real run then does."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, LiteralString

import psycopg
import pytest

from clerksync.clerk.user import ClerkUser
from clerksync.mapping.file import parse
from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate
from clerksync.write.outcome import Change, Outcome
from clerksync.write.user_batches import UserBatches
from tests.people import a_user, user_id

pytestmark = pytest.mark.alters_schema

Make = Callable[[str], UserBatches]


@pytest.fixture
def make(database: Database, connection: psycopg.Connection) -> Make:
    def made(more: str) -> UserBatches:
        unique: LiteralString = "" if "email_unique" in more else " UNIQUE"
        null: LiteralString = " NOT NULL" if "email_not_null" in more else ""
        table: LiteralString = (
            "CREATE TABLE members (id serial, clerk text UNIQUE, first text,"
            " gone_at timestamptz, tier text, seen timestamp, email text"
        )
        connection.execute(table + unique + null + ")")
        mapping = parse(
            '[table]\nname = "members"\nkey = "clerk"\ndeleted_at = "gone_at"\n'
            'id = { column = "id", generate = "database" }\ntier = "tier"\n'
            f'{more}\n[columns]\nemail = "email"\nfirst = "first_name"\n'
            'seen = "created_at"\n',
            name="test",
        )
        migrate(database, schema="public", mapping=mapping)
        return UserBatches(database, mapping=mapping)

    return made


KINDS = pytest.mark.parametrize("more", ["", "email_not_null = true"])


def foreseen(users: UserBatches, people: Sequence[ClerkUser]) -> set[Change]:
    """The changes of a dry run, whose counts must be those of the real one."""
    dry = users.upsert_many(people, dry_run=True)
    assert counts(dry) == counts(users.upsert_many(people))
    return set(dry.changes)


def counts(outcome: Outcome) -> dict[str, Any]:
    return {k: v for k, v in asdict(outcome).items() if isinstance(v, int)}


@KINDS
def test_each_user_is_named_with_the_columns_that_change(make: Make, more: str) -> None:
    """Nobody else is."""
    users = make(more)
    users.upsert_many([a_user(1), a_user(2), a_user(3)])
    people = [
        a_user(1, version=1, first_name="X"),
        a_user(2, version=1, email="new@example.com", first_name="Y"),
        a_user(3, version=1),
        a_user(4),
        a_user(5, email=None),
    ]
    assert foreseen(users, people) == {
        Change("updated", user_id(1), ("first",)),
        Change("updated", user_id(2), ("email", "first")),
        Change("created", user_id(4)),
    }


@KINDS
def test_a_dry_run_consumes_no_sequence_value_and_fires_no_trigger(
    make: Make, connection: psycopg.Connection, more: str
) -> None:
    """A trigger may send a mail, and a sequence does not roll back."""
    users = make(more)
    users.upsert_many([a_user(1)])
    connection.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE 'fired'; END$$;"
        "CREATE TRIGGER fires BEFORE INSERT OR UPDATE OR DELETE ON members"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse()"
    )
    sequence = "SELECT last_value, is_called FROM members_id_seq"
    before = connection.execute(sequence).fetchall()
    people = [a_user(1, version=1, first_name="X"), a_user(2)]
    outcome = users.upsert_many(people, dry_run=True)
    assert (outcome.created, outcome.updated, outcome.failed) == (1, 1, [])
    assert connection.execute(sequence).fetchall() == before


@KINDS
def test_users_that_unmanaged_rows_hold_back_are_named(
    make: Make, connection: psycopg.Connection, more: str
) -> None:
    """By a dry run, and counted by the real run."""
    users = make(more)
    connection.execute("INSERT INTO members (email) VALUES ('user1@example.com')")
    changes = foreseen(users, [a_user(1), a_user(2)])
    assert changes == {Change("held_back", user_id(1)), Change("created", user_id(2))}
    assert users.upsert_many([a_user(1), a_user(2)]).held_back == 1
    again = users.upsert_many([a_user(1), a_user(2)], dry_run=True)
    assert (again.held_back, again.created, again.updated) == (1, 0, 0)


def test_an_email_goes_to_the_newest_claim(make: Make) -> None:
    """A swap, a newer claim, an older one, and two claims in one batch."""
    users = make("")
    users.upsert_many([a_user(n, version=5) for n in range(1, 5)])
    swap = [
        a_user(1, version=6, email="user2@example.com"),
        a_user(2, version=6, email="user1@example.com"),
    ]
    assert foreseen(users, swap) == {
        Change("updated", user_id(1), ("email",)),
        Change("updated", user_id(2), ("email",)),
    }
    newer = a_user(5, version=9, email="user3@example.com")
    older = a_user(6, version=1, email="user4@example.com")
    assert foreseen(users, [newer, older]) == {
        Change("created", user_id(5)),
        Change("created", user_id(6)),
    }
    twice = [
        a_user(7, version=1, email="both@example.com"),
        a_user(8, version=2, email="both@example.com"),
    ]
    assert foreseen(users, twice) == {
        Change("created", user_id(7)),
        Change("created", user_id(8)),
    }
    # Who has lost an email keeps lacking it: no change, however often it is looked at.
    assert users.upsert_many(twice, dry_run=True).changes == []
    assert users.upsert_many([newer, older], dry_run=True).changes == []


def test_a_tombstoned_user_is_not_created(make: Make) -> None:
    """And one that Clerk has confirmed since comes back, in its soft-deleted row."""
    users = make('deletion = "soft"')
    users.upsert_many([a_user(1)])
    users.delete([user_id(1)])
    assert users.upsert_many([a_user(1)], dry_run=True).tombstoned == [user_id(1)]
    confirmed: dict[str, Any] = {"confirmed_at": users.clock()}
    dry = users.upsert_many([a_user(1)], dry_run=True, **confirmed)
    assert counts(dry) == counts(users.upsert_many([a_user(1)], **confirmed))
    (change,) = dry.changes
    assert (change.action, "gone_at" in change.columns) == ("updated", True)


def test_a_row_holds_its_user_back_where_emails_need_not_be_unique_too(
    make: Make, connection: psycopg.Connection
) -> None:
    """No index would refuse the second row."""
    users = make("email_unique = false")
    connection.execute("INSERT INTO members (email) VALUES ('user1@example.com')")
    assert foreseen(users, [a_user(1)]) == {Change("held_back", user_id(1))}
    assert users.upsert(a_user(1)).skipped == 1
    assert users.upsert_many([a_user(1)]).skipped == 1
    connection.execute("DELETE FROM members")
    assert users.upsert(a_user(1)).created == 1
