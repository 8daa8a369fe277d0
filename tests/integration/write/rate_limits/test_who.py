"""Users whom the tables do not know, or know only half."""

import psycopg
import pytest
from psycopg import errors

from clerksync.errors import SchemaOutdatedError
from clerksync.postgres.database import Database
from clerksync.write.rate_limits import Decision, consume
from clerksync.write.user_batches import UserBatches
from tests.doors import untouched
from tests.integration.write.rate_limits.buckets import Buckets
from tests.people import a_user, user_id
from tests.tables import rows


def test_a_user_who_is_not_synced_yet_is_answered_by_the_default_tier(
    database: Database, buckets: Buckets, connection: psycopg.Connection
) -> None:
    """As by a full bucket: no row, no error of a foreign key, and nothing counted."""
    buckets.tier("FREE", 3, 1)
    with untouched(connection):
        for _ in range(5):
            assert consume(database, user_id(404)) == Decision(True, 2, 0)
        assert consume(database, user_id(404), 4) == Decision(False, 3, None)


def test_once_synced_a_user_is_counted(
    database: Database, buckets: Buckets, users: UserBatches
) -> None:
    """What was allowed before is forgotten: the bucket begins full."""
    buckets.tier("FREE", 3, 0)
    for _ in range(5):
        assert consume(database, user_id(1)).allowed
    users.upsert(a_user(1))
    allowed = [consume(database, user_id(1)).allowed for _ in range(5)]
    assert allowed == [True, True, True, False, False]


def test_a_tier_that_is_not_in_the_table_has_the_limits_of_the_default_one(
    database: Database, buckets: Buckets
) -> None:
    """A name that is new, or mistyped, stops nobody, and lets nobody off."""
    buckets.tier("FREE", 3, 0)
    somebody = buckets.user(tier="NO SUCH TIER")
    allowed = [consume(database, somebody).allowed for _ in range(5)]
    assert allowed == [True, True, True, False, False]


@pytest.mark.usefixtures("buckets")
def test_a_user_from_before_gets_a_bucket_with_the_first_call(
    database: Database, connection: psycopg.Connection
) -> None:
    """Rows of the application, made without the write path, have none."""
    connection.execute("INSERT INTO users (id, tier) VALUES ('legacy-7', 'TEN')")
    assert consume(database, "legacy-7", 11) == Decision(False, 10, None)
    assert consume(database, "legacy-7", 4) == Decision(True, 6, 0)
    assert rows(connection, "rate_limits")["legacy-7"]["tokens"] == 6


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
def test_a_deleted_user_is_refused(
    database: Database, buckets: Buckets, connection: psycopg.Connection, *, soft: bool
) -> None:
    """Its session may live on for a minute: that must not be one without limits."""
    somebody = buckets.user(tier="TEN")
    UserBatches(database, soft_delete=soft).delete([somebody])
    with untouched(connection):
        assert consume(database, somebody) == Decision(False, 0, None)


def test_a_user_who_comes_back_has_a_full_bucket(
    database: Database, buckets: Buckets, users: UserBatches
) -> None:
    """A deletion took the old one away."""
    somebody = buckets.user(tier="TEN")
    consume(database, somebody, 10)
    users.delete([somebody])
    confirmed_at = users.clock()
    users.upsert(a_user(version=1), confirmed_at=confirmed_at)
    buckets.change(somebody, "TEN")
    assert consume(database, somebody) == Decision(True, 9, 0)


def test_nobody_is_an_error(
    database: Database, buckets: Buckets, connection: psycopg.Connection
) -> None:
    """A setting that was never set is NULL or empty: it must not pass for a user."""
    with untouched(connection):
        with pytest.raises(ValueError, match="clerk_id is empty"):
            consume(database, "")
        for nobody in ("", None):
            with pytest.raises(errors.InvalidParameterValue, match="is missing"):
                buckets.ask("SELECT consume_rate_limit(%s)", nobody)


def test_a_default_tier_that_was_taken_out_is_named_with_what_to_do(
    buckets: Buckets, connection: psycopg.Connection
) -> None:
    """Nobody is let through, or turned away, by numbers that are not there."""
    known = buckets.user(tier="TEN")
    connection.execute("DELETE FROM tiers WHERE name = 'FREE'")
    assert buckets.ask("SELECT allowed FROM consume_rate_limit(%s)", known)["allowed"]
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="default tier") as e:
        buckets.ask("SELECT * FROM consume_rate_limit(%s)", user_id(404))
    assert "clerksync migrate" in str(e.value)


def test_a_database_that_is_behind_is_told_so(database: Database) -> None:
    """As everywhere: run migrate."""
    with pytest.raises(SchemaOutdatedError, match="run migrate"):
        consume(database, user_id(1), schema="nowhere")
