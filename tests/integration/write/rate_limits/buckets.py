"""Users with a tier and a bucket, and time that has gone by."""

from typing import Any

import psycopg
from psycopg.rows import dict_row

from clerksync.write.user_batches import UserBatches
from tests.people import a_user, user_id


class Buckets:
    """The tiers and buckets of one database, as an application's SQL sees them."""

    def __init__(self, connection: psycopg.Connection, users: UserBatches) -> None:
        self._connection = connection
        self._users = users

    def tier(self, name: str, capacity: float, refill_per_second: float) -> None:
        self._connection.execute(
            "INSERT INTO tiers VALUES (%s, %s, %s) ON CONFLICT (name) DO UPDATE"
            " SET capacity = excluded.capacity,"
            " refill_per_second = excluded.refill_per_second",
            [name, capacity, refill_per_second],
        )

    def user(self, number: int = 1, *, tier: str) -> str:
        """A synced user of a tier, whose bucket is untouched."""
        self._users.upsert(a_user(number))
        self.change(user_id(number), tier)
        return user_id(number)

    def change(self, clerk_id: str, tier: str) -> None:
        self._connection.execute(
            "UPDATE users SET tier = %s WHERE id = %s", [tier, clerk_id]
        )

    def wait(self, clerk_id: str, seconds: float) -> None:
        """Let time go by for one bucket: it was filled so much earlier."""
        self._connection.execute(
            "UPDATE rate_limits SET refilled_at = refilled_at - %s * interval '1 s'"
            " WHERE user_id = %s",
            [seconds, clerk_id],
        )

    def leave(self, clerk_id: str, tokens: float | None) -> None:
        self._connection.execute(
            "UPDATE rate_limits SET tokens = %s, refilled_at = clock_timestamp()"
            " WHERE user_id = %s",
            [tokens, clerk_id],
        )

    def ask(self, query: str, *parameters: Any) -> dict[str, Any]:
        """One row of a query, as an application would send it."""
        with self._connection.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(query.encode(), parameters).fetchone()
        assert row is not None
        return row
