"""Users that Clerk does not know, or that were deleted and come back."""

import psycopg

from clerksync.postgres.database import Database
from clerksync.write.user_batches import UserBatches
from local.stub_clerk.faults import Fault, StubRequest
from tests.doors import (
    untouched,
)
from tests.integration.functions.self_sync.door import Door
from tests.people import user_id
from tests.tables import rows


def test_a_user_that_clerk_does_not_know_is_not_authenticated(
    door: Door, connection: psycopg.Connection
) -> None:
    """A token outlives its user by up to a minute; nothing is written."""
    token = door.clerk.session_token(user_id(404))
    with untouched(connection):
        answer = door.sync(token)
    assert answer.status == 401
    assert door.asked(f"/v1/users/{user_id(404)}") == 1


def test_a_user_deleted_during_the_look_up_is_not_revived(
    door: Door, database_url: str, connection: psycopg.Connection
) -> None:
    """Clerk's answer may be older than the deletion that came in meanwhile."""
    assert door.sync().status == 200
    door.clerk.update_user(door.user_id, last_name="Changed")

    def delete(request: StubRequest) -> Fault | None:
        if request.path.startswith("/v1/users/"):
            database = Database(lambda: database_url)
            UserBatches(database).delete([door.user_id])
            database.close()
        return None

    door.clerk.interfere = delete
    answer = door.sync()
    assert answer.status == 401
    assert answer.error
    assert rows(connection) == {}
    assert rows(connection, "rate_limits") == {}
    assert rows(connection, "sync_state")[door.user_id]["deleted_at"] is not None


def test_a_user_deleted_by_mistake_comes_back(
    door: Door, users: UserBatches, connection: psycopg.Connection
) -> None:
    """Clerk, asked after the deletion, still knows it: the tombstone goes."""
    users.delete([door.user_id])
    answer = door.sync()
    assert (answer.status, answer.body["user"]["id"]) == (200, door.user_id)
    assert list(rows(connection)) == [door.user_id]
    assert rows(connection, "sync_state")[door.user_id]["deleted_at"] is None


def test_a_softly_deleted_user_comes_back_whole(
    door: Door, database: Database, connection: psycopg.Connection
) -> None:
    """The row that was kept and emptied is filled again."""
    assert door.sync().status == 200
    UserBatches(database, soft_delete=True).delete([door.user_id])
    assert door.me().status == 404
    assert door.sync().status == 200
    row = rows(connection)[door.user_id]
    assert (row["email"], row["deleted_at"]) == ("noor@example.com", None)
    assert list(rows(connection, "rate_limits")) == [door.user_id]
    assert door.me().status == 200
