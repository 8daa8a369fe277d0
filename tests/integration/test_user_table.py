"""The rules of truth, one user and many, on the real Postgres."""

import random
import string
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from clerksync.clerk_user import ClerkUser
from clerksync.database import Database
from clerksync.errors import InvalidPayloadError, SchemaOutdatedError
from clerksync.migrate import migrate
from clerksync.user_table import Outcome, UserTable
from tests.people import EPOCH_MS, a_user, user_id
from tests.tables import footprint, rows

pytestmark = pytest.mark.parametrize("door", ["one", "many"])


class Writer:
    """Applies users through one of the two ways into the write path."""

    def __init__(self, database: Database, door: str, **settings: Any) -> None:
        self.table = UserTable(database, **settings)
        self._door = door

    def write(self, user: ClerkUser, **options: Any) -> Outcome:
        if self._door == "one":
            return self.table.upsert(user, **options)
        return self.table.upsert_many([user], **options)


@pytest.fixture
def writer(database: Database, door: str) -> Writer:
    return Writer(database, door)


def test_a_new_user_gets_a_row_a_tier_and_a_rate_limit(
    writer: Writer, connection: psycopg.Connection
) -> None:
    """Creation fills every column from the primary data of the user."""
    user = a_user(
        username="noorc",
        primary_phone_number_id="idn_phone",
        phone_numbers=[{"id": "idn_phone", "phone_number": "+15005550006"}],
        public_metadata={"plan": "gold"},
    )
    assert writer.write(user).action == "created"
    row = rows(connection)[user_id(1)]
    assert {name: row[name] for name in ("email", "name", "tier", "banned")} == {
        "email": "user1@example.com",
        "name": "Noor Castell",
        "tier": "FREE",
        "banned": False,
    }
    assert row["phone_number"] == "+15005550006"
    assert row["public_metadata"] == {"plan": "gold"}
    assert row["clerk_created_at"].timestamp() * 1000 == EPOCH_MS
    assert list(rows(connection, "rate_limits")) == [user_id(1)]


def test_an_older_version_changes_nothing(
    writer: Writer, connection: psycopg.Connection
) -> None:
    """An event that was overtaken by a newer one is neither written nor locked."""
    writer.write(a_user(version=10, first_name="New"))
    before = footprint(connection)
    assert writer.write(a_user(version=9, first_name="Old")).action == "unchanged"
    assert rows(connection)[user_id(1)]["first_name"] == "New"
    assert footprint(connection) == before


def test_the_same_version_with_the_same_content_writes_and_locks_nothing(
    writer: Writer, connection: psycopg.Connection
) -> None:
    """A delivery that comes twice leaves no trace the second time."""
    writer.write(a_user())
    before = footprint(connection)
    assert writer.write(a_user()).action == "unchanged"
    assert footprint(connection) == before


def test_the_same_version_with_other_content_is_applied(
    writer: Writer, connection: psycopg.Connection
) -> None:
    """Two changes within one millisecond of Clerk's clock both count."""
    writer.write(a_user(first_name="Before"))
    assert writer.write(a_user(first_name="After")).action == "updated"
    assert rows(connection)[user_id(1)]["first_name"] == "After"


def test_a_newer_version_with_the_same_content_leaves_the_row_alone(
    writer: Writer, connection: psycopg.Connection
) -> None:
    """Only the version moves on: the application sees no update."""
    writer.write(a_user())
    before = footprint(connection, "users", "rate_limits")
    assert writer.write(a_user(version=5)).action == "unchanged"
    assert footprint(connection, "users", "rate_limits") == before
    assert writer.write(a_user(version=3, first_name="Late")).action == "unchanged"


def test_a_change_and_its_undoing_end_with_the_undoing(
    writer: Writer, connection: psycopg.Connection
) -> None:
    """A, B, A again: the late B does not win because the last A looked unchanged."""
    writer.write(a_user(version=1, first_name="A"))
    writer.write(a_user(version=3, first_name="A"))
    writer.write(a_user(version=2, first_name="B"))
    assert rows(connection)[user_id(1)]["first_name"] == "A"


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


def test_a_user_without_email_is_not_created_while_emails_are_required(
    writer: Writer, connection: psycopg.Connection
) -> None:
    """It counts as skipped, each time without a write, until there is an email."""
    assert writer.write(a_user(email=None)).action == "skipped"
    before = footprint(connection)
    assert writer.write(a_user(email=None)).action == "skipped"
    assert footprint(connection) == before
    assert rows(connection, "sync_state")[user_id(1)]["skipped"] == "no email"
    assert writer.write(a_user(version=1)).action == "created"
    assert rows(connection, "sync_state")[user_id(1)]["skipped"] is None


def test_a_user_who_loses_the_email_keeps_the_row(
    writer: Writer, connection: psycopg.Connection
) -> None:
    """The application's references stay valid; the email is NULL."""
    writer.write(a_user())
    assert writer.write(a_user(version=1, email=None)).action == "updated"
    assert rows(connection)[user_id(1)]["email"] is None


def test_a_user_without_anything_is_created_where_emails_are_not_required(
    database: Database, door: str, connection: psycopg.Connection
) -> None:
    """No email, no name, no username, no image."""
    writer = Writer(database, door, require_email=False)
    bare = a_user(email=None, first_name=None, last_name=None, image_url=None)
    assert writer.write(bare).action == "created"
    assert rows(connection)[user_id(1)]["name"] is None
    assert list(rows(connection, "rate_limits")) == [user_id(1)]


def test_a_row_deleted_by_hand_comes_back(
    writer: Writer, connection: psycopg.Connection
) -> None:
    """The same version counts as news when the row it made is not there."""
    writer.write(a_user())
    connection.execute("DELETE FROM users")
    assert writer.write(a_user()).action == "created"


def test_sync_never_touches_the_tier(
    writer: Writer, connection: psycopg.Connection
) -> None:
    """A paying user stays one through every later sync."""
    writer.write(a_user())
    connection.execute("UPDATE users SET tier = 'PRO'")
    writer.write(a_user(version=1, first_name="X", public_metadata={"tier": "FREE"}))
    assert rows(connection)[user_id(1)]["tier"] == "PRO"


def test_a_configured_metadata_key_sets_the_tier(
    database: Database, door: str, connection: psycopg.Connection
) -> None:
    """At creation and later; without the key in the metadata, the tier stays."""
    writer = Writer(database, door, default_tier="BASIC", tier_metadata_key="plan")
    writer.write(a_user(1))
    writer.write(a_user(2, public_metadata={"plan": "PRO"}))
    tiers = {key: row["tier"] for key, row in rows(connection).items()}
    assert tiers == {user_id(1): "BASIC", user_id(2): "PRO"}
    raised = a_user(1, version=1, public_metadata={"plan": "MAXX"})
    assert writer.write(raised).action == "updated"
    assert writer.write(raised).action == "unchanged"
    writer.write(a_user(2, version=1, public_metadata={"plan": 7}))
    tiers = {key: row["tier"] for key, row in rows(connection).items()}
    assert tiers == {user_id(1): "MAXX", user_id(2): "PRO"}


def test_the_rate_limit_survives_updates(
    writer: Writer, connection: psycopg.Connection
) -> None:
    """The bucket keeps its level; a missing one is made again."""
    writer.write(a_user())
    connection.execute("UPDATE rate_limits SET tokens = 3")
    writer.write(a_user(version=1, first_name="X"))
    assert rows(connection, "rate_limits")[user_id(1)]["tokens"] == 3
    connection.execute("DELETE FROM rate_limits")
    writer.write(a_user(version=2, first_name="Y"))
    assert list(rows(connection, "rate_limits")) == [user_id(1)]


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


def test_an_email_too_long_for_its_index_is_refused_as_data(
    database: Database, door: str, connection: psycopg.Connection
) -> None:
    """It is the payload's fault, not the database's: retrying would not help."""
    letters = random.Random(1).choices(string.ascii_letters, k=10_000)
    user = a_user(email="".join(letters) + "@example.com")
    table = UserTable(database)
    if door == "one":
        with pytest.raises(InvalidPayloadError, match="SQLSTATE 54000"):
            table.upsert(user)
    else:
        outcome = table.upsert_many([user, a_user(2)])
        assert (outcome.failed, outcome.created) == ([user_id(1)], 1)
    assert user_id(1) not in rows(connection)


def test_hostile_text_is_only_text(
    writer: Writer, connection: psycopg.Connection
) -> None:
    """Quotes, backslashes, tabs and SQL in a name arrive as they were sent."""
    name = "Robert'); DROP TABLE users;--\t\\N\n{%s}\u202e\U0001f600" + "x" * 10_000
    writer.write(a_user(first_name=name, public_metadata={name: [None, name]}))
    row = rows(connection)[user_id(1)]
    assert row["first_name"] == name
    assert row["public_metadata"] == {name: [None, name]}


@pytest.mark.alters_schema
def test_tables_may_live_in_a_schema_of_their_own(
    database: Database, door: str, connection: psycopg.Connection
) -> None:
    """CLERKSYNC_SCHEMA names it, whatever it is called."""
    migrate(database, schema='my "app"')
    writer = Writer(database, door, schema='my "app"')
    assert writer.write(a_user()).action == "created"
    assert rows(connection) == {}
    assert writer.table.find(user_id(1)) is not None


def test_code_ahead_of_the_database_says_what_to_do(
    database: Database, door: str
) -> None:
    """A missing function or table is answered with: run migrate."""
    with pytest.raises(SchemaOutdatedError, match="migrate"):
        Writer(database, door, schema="nowhere").write(a_user())


def test_a_version_keeps_its_milliseconds(
    writer: Writer, connection: psycopg.Connection
) -> None:
    """The version in sync_state is Clerk's updated_at to the millisecond."""
    writer.write(a_user(version=987))
    version = rows(connection, "sync_state")[user_id(1)]["clerk_updated_at"]
    assert version == a_user().updated_at + timedelta(milliseconds=987)
