"""Rows that users have in other tables, restored while users change."""

import psycopg

from clerksync.write.companions import restore_companions
from clerksync.write.user_batches import UserBatches
from tests.interleaving import start
from tests.people import a_user, user_id
from tests.tables import rows


def test_no_bucket_is_made_for_who_is_being_deleted(
    users: UserBatches, connection: psycopg.Connection, database_url: str
) -> None:
    """Softly, and by a transaction that has not ended: it is waited for."""
    users.upsert_many([a_user(1), a_user(2)])
    connection.execute("DELETE FROM rate_limits")
    with connection.transaction():
        connection.execute(
            "UPDATE sync_state SET deleted_at = now() WHERE clerk_id = %s", [user_id(1)]
        )
        connection.execute(
            "UPDATE users SET deleted_at = now() WHERE id = %s", [user_id(1)]
        )
        thread, errors = start(
            database_url, lambda db: restore_companions(db, UserBatches(db))
        )
    thread.join(timeout=60)
    assert errors == []
    assert set(rows(connection, "rate_limits")) == {user_id(2)}
