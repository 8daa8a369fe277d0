"""What the columns hold: emails, tiers, rate limits, odd text."""

import random
import string

import psycopg
import pytest

from clerksync.errors import InvalidPayloadError
from clerksync.postgres.database import Database
from clerksync.write.user_batches import UserBatches
from tests.integration.write.user_table.writer import Writer
from tests.people import EPOCH_MS, a_user, user_id
from tests.tables import footprint, rows


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


def test_an_email_too_long_for_its_index_is_refused_as_data(
    database: Database, door: str, connection: psycopg.Connection
) -> None:
    """It is the payload's fault, not the database's: retrying would not help."""
    letters = random.Random(1).choices(string.ascii_letters, k=10_000)
    user = a_user(email="".join(letters) + "@example.com")
    table = UserBatches(database)
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
