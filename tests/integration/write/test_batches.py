"""What only a batch can do wrong."""

from typing import Any

import psycopg
import pytest

from clerksync.postgres.database import Database
from clerksync.write.user_batches import UserBatches
from tests.people import a_user, user_id
from tests.tables import footprint, rows


def test_a_batch_without_change_writes_and_locks_no_row(
    users: UserBatches, connection: psycopg.Connection
) -> None:
    """Not in users, rate_limits or sync_state."""
    batch = [a_user(number) for number in range(500)]
    assert users.upsert_many(batch).created == 500
    before = footprint(connection)
    assert users.upsert_many(batch).unchanged == 500
    assert footprint(connection) == before


def test_a_batch_writes_just_what_changed(
    users: UserBatches, connection: psycopg.Connection
) -> None:
    """The others' rows stay where they are."""
    users.upsert_many([a_user(number) for number in range(100)])
    before = set(footprint(connection, "users"))
    changed = [a_user(n, version=1, first_name="X") for n in range(3)]
    outcome = users.upsert_many(changed + [a_user(n) for n in range(3, 100)])
    assert (outcome.updated, outcome.unchanged) == (3, 97)
    assert len(before - set(footprint(connection, "users"))) == 3


def test_of_two_versions_in_a_batch_the_newer_counts(
    users: UserBatches, connection: psycopg.Connection
) -> None:
    """A listing that shows a user twice costs nothing; each is counted once."""
    outcome = users.upsert_many(
        [a_user(version=2, first_name="New"), a_user(version=1, first_name="Old")]
    )
    assert (outcome.created, outcome.unchanged) == (1, 1)
    assert rows(connection)[user_id(1)]["first_name"] == "New"


@pytest.mark.alters_schema
def test_one_bad_row_does_not_cost_the_batch(
    users: UserBatches, connection: psycopg.Connection
) -> None:
    """A constraint of the application's own fails just the users that break it."""
    connection.execute("ALTER TABLE users ADD CHECK (first_name <> 'Forbidden')")
    batch = [
        a_user(n, first_name="Forbidden" if n in {7, 42} else "Fine") for n in range(50)
    ]
    outcome = users.upsert_many(batch)
    assert (outcome.created, outcome.failed) == (48, [user_id(7), user_id(42)])
    assert len(rows(connection)) == 48
    assert len(rows(connection, "sync_state")) == 48


def test_metadata_that_json_cannot_hold_fails_its_user_only(users: UserBatches) -> None:
    """1e999 is legal JSON and no number."""
    odd = a_user(1, public_metadata={"n": float("inf")})
    outcome = users.upsert_many([odd, a_user(2)])
    assert (outcome.failed, outcome.created) == ([user_id(1)], 1)


def test_metadata_of_any_kind_is_stored_as_it_is(
    users: UserBatches, connection: psycopg.Connection
) -> None:
    """Words that look like no number, numbers of any size, other scripts, depth."""
    deep: dict[str, Any] = {}
    for _ in range(150):
        deep = {"in": deep}
    odd = [
        {"says": "NaN, or Infinity"},
        {"large": 2**80, "small": 1e-300, "half": -0.5},
        {"name": 'Åsa 王 \u2028 \t tab \\ "quoted"'},
        deep,
    ]
    people = [a_user(n, public_metadata=metadata) for n, metadata in enumerate(odd)]
    assert users.upsert_many(people).created == len(odd)
    assert users.upsert_many(people).unchanged == len(odd)
    stored = rows(connection)
    assert [stored[user_id(n)]["public_metadata"] for n in range(len(odd))] == odd


def test_a_dry_run_tells_and_changes_nothing(
    users: UserBatches, connection: psycopg.Connection
) -> None:
    """The counts are those of the real run that follows."""
    users.upsert_many([a_user(1)])
    before = footprint(connection)
    batch = [a_user(1, version=1, first_name="X"), a_user(2), a_user(3, email=None)]
    dry = users.upsert_many(batch, dry_run=True)
    assert {key: row["first_name"] for key, row in rows(connection).items()} == {
        user_id(1): "Noor"
    }
    assert len(before) == len(footprint(connection))
    assert dry == users.upsert_many(batch)


def test_an_empty_batch_is_nothing(users: UserBatches) -> None:
    """No connection is needed for it."""
    assert UserBatches(Database(lambda: "nowhere")).upsert_many([]) == (
        users.upsert_many([])
    )


def test_a_deletion_counts_the_rows_that_were_there(
    users: UserBatches, connection: psycopg.Connection
) -> None:
    """Every id gets its tombstone, known or not, named twice or not."""
    users.upsert_many([a_user(1), a_user(2)])
    assert users.delete([user_id(2), user_id(9), user_id(2)]) == 1
    assert list(rows(connection)) == [user_id(1)]
    deleted = {k for k, r in rows(connection, "sync_state").items() if r["deleted_at"]}
    assert deleted == {user_id(2), user_id(9)}
