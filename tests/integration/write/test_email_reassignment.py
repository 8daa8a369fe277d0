"""An email belongs to the newest claim, in whatever order the claims arrive."""

import random
from itertools import permutations

import psycopg
import pytest

from clerksync.clerk.user import ClerkUser
from clerksync.write.user_batches import UserBatches
from tests.people import a_user, user_id
from tests.tables import emails, footprint

Emails = dict[str, str | None]


def history(rng: random.Random) -> tuple[list[ClerkUser], Emails]:
    """Versions of five users who share six addresses, as Clerk would allow it: at any
    time an address has one holder. Ends with what Clerk shows in the end."""
    addresses = [f"{name}@example.com" for name in "abcdef"]
    holders: Emails = {}
    versions = []
    for version in range(1, 25):
        number = rng.randrange(5)
        held = set(holders.values()) - {holders.get(user_id(number))}
        free = [address for address in addresses if address not in held]
        email = rng.choice([*free, None])
        holders[user_id(number)] = email
        versions.append(a_user(number, version=version, email=email))
    return versions, holders


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("size", [1, 2, 5, 24])
@pytest.mark.parametrize("repeats", [1, 2])
def test_any_order_of_arrival_ends_with_what_clerk_shows(
    users: UserBatches,
    connection: psycopg.Connection,
    seed: int,
    size: int,
    repeats: int,
) -> None:
    """Moves, swaps, chains and losses, shuffled, once or twice, and in batches."""
    rng = random.Random(seed)
    for _ in range(3):
        connection.execute("TRUNCATE users, rate_limits, sync_state")
        versions, shown = history(rng)
        # A second delivery of a version would mend what went wrong with the first.
        arrivals = versions * repeats
        rng.shuffle(arrivals)
        for start in range(0, len(arrivals), size):
            batch = arrivals[start : start + size]
            if size == 1:
                users.upsert(batch[0])
            else:
                assert users.upsert_many(batch).failed == []
        ended = emails(connection)
        # Who never had an email when asked for may have no row: rule 6.
        assert {k: v for k, v in ended.items() if v} == {
            k: v for k, v in shown.items() if v
        }


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_cycle_of_three_resolves_in_any_order(
    users: UserBatches, connection: psycopg.Connection, order: tuple[int, ...]
) -> None:
    """Each takes the address of the next, one by one, the losers in between NULL."""
    users.upsert_many([a_user(number) for number in range(3)])
    for number in order:
        email = f"user{(number + 1) % 3}@example.com"
        users.upsert(a_user(number, version=10, email=email))
    assert emails(connection) == {
        user_id(number): f"user{(number + 1) % 3}@example.com" for number in range(3)
    }


def test_a_cycle_within_a_batch_resolves_without_conflict(
    users: UserBatches, connection: psycopg.Connection
) -> None:
    """All three moved on: nobody is left without an address."""
    users.upsert_many([a_user(number) for number in range(3)])
    outcome = users.upsert_many(
        [
            a_user(number, version=1, email=f"user{(number + 1) % 3}@example.com")
            for number in range(3)
        ]
    )
    assert (outcome.updated, outcome.email_conflicts) == (3, 0)
    assert emails(connection) == {
        user_id(number): f"user{(number + 1) % 3}@example.com" for number in range(3)
    }


def test_a_release_within_a_batch_is_no_conflict(
    users: UserBatches, connection: psycopg.Connection
) -> None:
    """One gives the address up for none, the other takes it."""
    users.upsert_many([a_user(1), a_user(2)])
    outcome = users.upsert_many(
        [
            a_user(1, version=1, email="user2@example.com"),
            a_user(2, version=1, email=None),
        ]
    )
    assert (outcome.updated, outcome.email_conflicts, outcome.failed) == (2, 0, [])
    assert emails(connection) == {user_id(1): "user2@example.com", user_id(2): None}


def test_the_older_holder_gives_way(
    users: UserBatches, connection: psycopg.Connection
) -> None:
    """Its row stays, its email is NULL until its own news arrives."""
    users.upsert(a_user(1, version=1))
    outcome = users.upsert(a_user(2, version=2, email="user1@example.com"))
    assert (outcome.action, outcome.email_conflicts) == ("created", 1)
    assert emails(connection) == {user_id(1): None, user_id(2): "user1@example.com"}


def test_an_older_claim_that_arrives_late_is_written_without_the_email(
    users: UserBatches, connection: psycopg.Connection
) -> None:
    """The name still comes from Clerk's email, though the column went to another."""
    users.upsert(a_user(2, version=2, email="user1@example.com"))
    late = a_user(1, version=1, first_name=None, last_name=None)
    outcome = users.upsert(late)
    assert (outcome.action, outcome.email_conflicts) == ("created", 1)
    assert emails(connection) == {user_id(1): None, user_id(2): "user1@example.com"}
    row = users.find(user_id(1))
    assert row is not None
    assert row["name"] == "user1"


def test_who_loses_an_old_email_to_a_late_claim_counts_as_updated(
    users: UserBatches, connection: psycopg.Connection
) -> None:
    """The claim is too old to be granted; the address before it is given up all the
    same, and a row that has changed is not told as unchanged."""
    users.upsert_many([a_user(1), a_user(2, version=9, email="new@example.com")])
    outcome = users.upsert(a_user(1, version=5, email="new@example.com"))
    assert (outcome.action, outcome.email_conflicts) == ("updated", 1)
    assert emails(connection) == {user_id(1): None, user_id(2): "new@example.com"}


def test_who_loses_the_email_within_a_batch_counts_as_updated(
    users: UserBatches, connection: psycopg.Connection
) -> None:
    """One still says that it has the address, another says it later."""
    users.upsert(a_user(1))
    outcome = users.upsert_many(
        [a_user(1, version=1), a_user(2, version=2, email="user1@example.com")]
    )
    assert (outcome.created, outcome.updated, outcome.email_conflicts) == (1, 1, 1)
    assert emails(connection) == {user_id(1): None, user_id(2): "user1@example.com"}


def test_two_new_users_with_one_email_in_a_batch(
    users: UserBatches, connection: psycopg.Connection
) -> None:
    """The listing caught both sides of a move: the newer version has the address."""
    outcome = users.upsert_many(
        [
            a_user(1, version=5, email="shared@example.com"),
            a_user(2, version=9, email="shared@example.com"),
            a_user(3),
        ]
    )
    assert (outcome.created, outcome.email_conflicts) == (3, 1)
    assert emails(connection) == {
        user_id(1): None,
        user_id(2): "shared@example.com",
        user_id(3): "user3@example.com",
    }


def test_an_address_moves_from_a_deleted_user_to_a_new_one(
    users: UserBatches, connection: psycopg.Connection
) -> None:
    """Before the deletion is known, and after."""
    users.upsert(a_user(1))
    users.upsert(a_user(2, version=1, email="user1@example.com"))
    users.delete([user_id(1)])
    users.delete([user_id(2)])
    users.upsert(a_user(3, version=2, email="user1@example.com"))
    assert emails(connection) == {user_id(3): "user1@example.com"}


def test_a_row_of_the_application_keeps_its_email(
    users: UserBatches, connection: psycopg.Connection
) -> None:
    """Its key is not a Clerk id: sync neither deletes it nor takes from it."""
    connection.execute(
        "INSERT INTO users (id, email) VALUES ('admin', 'user1@example.com')"
    )
    assert users.upsert(a_user(1)).email_conflicts == 1
    assert emails(connection) == {"admin": "user1@example.com", user_id(1): None}
    before = footprint(connection)
    assert users.upsert_many([a_user(1)]).unchanged == 1
    assert footprint(connection) == before, "nothing new, no write"


def test_a_row_that_was_never_synced_gives_way(
    users: UserBatches, connection: psycopg.Connection
) -> None:
    """Nothing is known of the age of its claim, so it is the oldest."""
    connection.execute(
        "INSERT INTO users (id, email) VALUES (%s, 'user1@example.com')", [user_id(9)]
    )
    users.upsert(a_user(1))
    assert emails(connection) == {user_id(9): None, user_id(1): "user1@example.com"}
