"""An upsert and a deletion of one user, held at every point where they can meet."""

import threading
from collections.abc import Iterable

import psycopg
import pytest
from psycopg import errors

from clerksync.postgres.database import Database
from clerksync.write.user_batches import UserBatches
from tests.interleaving import POINTS, Work, install_points, interleave, start
from tests.people import EPOCH_MS, a_user, user_id
from tests.tables import emails, rows

pytestmark = pytest.mark.alters_schema


def upsert(version: int = 1) -> Work:
    return lambda db: UserBatches(db).upsert(a_user(version=version, first_name="New"))


def upsert_staged(db: Database) -> object:
    return UserBatches(db).upsert_many([a_user(version=1, first_name="New"), a_user(2)])


def delete(db: Database) -> object:
    return UserBatches(db).delete([user_id(1)])


@pytest.mark.parametrize("write", [upsert(), upsert_staged], ids=["one", "many"])
@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize("first", ["upsert", "deletion"])
def test_no_interleaving_revives_a_deleted_user(
    database_url: str,
    connection: psycopg.Connection,
    users: UserBatches,
    write: Work,
    *,
    known: bool,
    first: str,
) -> None:
    """Held at each point in turn, whichever of the two is held: the user is gone."""
    install_points(connection)
    passed = []
    for point in POINTS:
        connection.execute("TRUNCATE users, rate_limits, sync_state")
        if known:
            users.upsert(a_user())
        pair = (write, delete) if first == "upsert" else (delete, write)
        if interleave(database_url, point, *pair):
            passed.append(point)
        assert user_id(1) not in rows(connection), point
        assert user_id(1) not in rows(connection, "rate_limits"), point
        assert rows(connection, "sync_state")[user_id(1)]["deleted_at"], point
    assert "commit" in passed
    assert len(passed) >= 3


@pytest.mark.parametrize("first", ["newer", "older"])
def test_no_interleaving_lets_an_older_version_win(
    database_url: str, connection: psycopg.Connection, users: UserBatches, first: str
) -> None:
    """Two webhooks of one user at once: the newer version stands."""
    install_points(connection)

    def newer(db: Database) -> object:
        return UserBatches(db).upsert(a_user(version=9, first_name="Newest"))

    passed = []
    for point in POINTS:
        connection.execute("TRUNCATE users, rate_limits, sync_state")
        users.upsert(a_user())
        pair = (newer, upsert()) if first == "newer" else (upsert(), newer)
        if interleave(database_url, point, *pair):
            passed.append(point)
        assert rows(connection)[user_id(1)]["first_name"] == "Newest", point
    assert "commit" in passed


@pytest.mark.parametrize("first", ["giver", "taker"])
def test_no_interleaving_loses_an_email_that_moves(
    database_url: str, connection: psycopg.Connection, users: UserBatches, first: str
) -> None:
    """One user gives an address up while another takes it."""
    install_points(connection)

    def giver(db: Database) -> object:
        return UserBatches(db).upsert(a_user(1, version=5, email="new@example.com"))

    def taker(db: Database) -> object:
        return UserBatches(db).upsert(a_user(2, version=6, email="user1@example.com"))

    passed = []
    for point in POINTS:
        connection.execute("TRUNCATE users, rate_limits, sync_state")
        users.upsert_many([a_user(1), a_user(2)])
        pair = (giver, taker) if first == "giver" else (taker, giver)
        if interleave(database_url, point, *pair):
            passed.append(point)
        assert emails(connection) == {
            user_id(1): "new@example.com",
            user_id(2): "user1@example.com",
        }, point
    assert "commit" in passed


def test_two_users_who_swap_emails_at_once_both_end_right(
    database_url: str, connection: psycopg.Connection, users: UserBatches
) -> None:
    """Each wants what the other holds, in two transactions."""
    install_points(connection)

    def one(db: Database) -> object:
        return UserBatches(db).upsert(a_user(1, version=5, email="user2@example.com"))

    def two(db: Database) -> object:
        return UserBatches(db).upsert(a_user(2, version=5, email="user1@example.com"))

    passed = []
    for pair in ((one, two), (two, one)):
        for point in POINTS:
            connection.execute("TRUNCATE users, rate_limits, sync_state")
            users.upsert_many([a_user(1), a_user(2)])
            if interleave(database_url, point, *pair):
                passed.append(point)
            assert emails(connection) == {
                user_id(1): "user2@example.com",
                user_id(2): "user1@example.com",
            }, point
    assert passed.count("commit") == 2


@pytest.mark.parametrize("first", ["holder", "taker"])
def test_a_holder_who_was_never_synced_keeps_the_email_by_the_newer_version(
    database_url: str, connection: psycopg.Connection, first: str
) -> None:
    """An adopted row has no version yet: its first event and a rival meet."""
    install_points(connection)

    def holder(db: Database) -> object:
        return UserBatches(db).upsert(a_user(1, version=9))

    def taker(db: Database) -> object:
        return UserBatches(db).upsert(a_user(2, version=5, email="user1@example.com"))

    passed = []
    for point in POINTS:
        connection.execute("TRUNCATE users, rate_limits, sync_state")
        connection.execute(
            "INSERT INTO users (id, email, first_name, last_name, name, image_url,"
            " public_metadata, banned, clerk_created_at) VALUES"
            " (%s, 'user1@example.com', 'Noor', 'Castell', 'Noor Castell', %s, '{}',"
            " false, to_timestamp(%s))",
            [user_id(1), "https://img.example.com/1", EPOCH_MS / 1000],
        )
        pair = (holder, taker) if first == "holder" else (taker, holder)
        if interleave(database_url, point, *pair):
            passed.append(point)
        expected = {user_id(1): "user1@example.com", user_id(2): None}
        assert emails(connection) == expected, point
    assert "commit" in passed


@pytest.mark.parametrize("first", ["batch", "hand-over"])
def test_all_writers_lock_in_one_order(
    database_url: str,
    connection: psycopg.Connection,
    users: UserBatches,
    monkeypatch: pytest.MonkeyPatch,
    first: str,
) -> None:
    """A batch and a hand-over that both need users 1 and 2 wait, and never deadlock."""
    monkeypatch.setattr(
        "clerksync.postgres.database._MAX_ATTEMPTS", 1
    )  # a deadlock would show
    users.upsert_many([a_user(1), a_user(2)])

    def batch(db: Database) -> object:
        changed = [a_user(n, version=1, first_name="New") for n in (2, 1)]
        return UserBatches(db).upsert_many(changed)

    def hand_over(db: Database) -> object:
        return UserBatches(db).upsert(a_user(2, version=9, email="user1@example.com"))

    # The first row is held: who locks in another order has the second one by now.
    with connection.transaction():
        connection.execute(
            "SELECT FROM sync_state WHERE clerk_id = %s FOR UPDATE", [user_id(1)]
        )
        pair = (batch, hand_over) if first == "batch" else (hand_over, batch)
        waiting = [start(database_url, work) for work in pair]
    assert_all_ended(waiting)
    assert emails(connection) == {user_id(1): None, user_id(2): "user1@example.com"}


def test_who_is_not_known_yet_is_locked_in_the_same_order(
    database_url: str,
    connection: psycopg.Connection,
    users: UserBatches,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """User 1 is new and takes the email of user 2; both are deleted meanwhile.

    Whoever locks only the rows that there are has the second one by now, and comes
    for the first one when the deletion has it.
    """
    monkeypatch.setattr(
        "clerksync.postgres.database._MAX_ATTEMPTS", 1
    )  # a deadlock would show
    users.upsert(a_user(2))

    def hand_over(db: Database) -> object:
        return UserBatches(db).upsert(a_user(1, version=9, email="user2@example.com"))

    def deletion(db: Database) -> object:
        return UserBatches(db).delete([user_id(1), user_id(2)])

    with connection.transaction():
        connection.execute(
            "SELECT FROM sync_state WHERE clerk_id = %s FOR UPDATE", [user_id(2)]
        )
        waiting = [start(database_url, work) for work in (hand_over, deletion)]
    assert_all_ended(waiting)
    assert emails(connection) == {}


@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
def test_batches_that_want_the_same_emails_never_deadlock(
    database_url: str,
    connection: psycopg.Connection,
    users: UserBatches,
    monkeypatch: pytest.MonkeyPatch,
    known: bool,
) -> None:
    """Four users, two emails, none of them taken yet: the second batch waits."""
    install_points(connection)
    connection.execute(
        "CREATE TRIGGER pause_between BEFORE INSERT OR UPDATE ON users FOR EACH ROW"
        " WHEN (new.email = 'b@example.com') EXECUTE FUNCTION pause_here('between')"
    )
    collisions = (errors.SerializationFailure, errors.UniqueViolation)
    monkeypatch.setattr("clerksync.postgres.database._COLLISIONS", collisions)
    if known:
        users.upsert_many([a_user(n) for n in (1, 2, 3, 4)])

    def batch(version: int, wanted: dict[int, str]) -> Work:
        people = [a_user(n, version=version, email=wanted[n]) for n in wanted]
        return lambda db: UserBatches(db).upsert_many(people)

    older = batch(1, {1: "a@example.com", 2: "b@example.com"})
    newer = batch(2, {3: "b@example.com", 4: "a@example.com"})
    assert interleave(database_url, "between", older, newer)
    assert emails(connection) == {
        user_id(1): None,
        user_id(2): None,
        user_id(3): "b@example.com",
        user_id(4): "a@example.com",
    }


def assert_all_ended(
    waiting: Iterable[tuple[threading.Thread, list[Exception]]],
) -> None:
    for thread, raised in waiting:
        thread.join(timeout=60)
        assert not thread.is_alive()
        assert raised == []
