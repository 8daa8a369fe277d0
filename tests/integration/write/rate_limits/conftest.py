"""Buckets in a database that tests share: afterwards, its tiers are as they were."""

from collections.abc import Iterator

import psycopg
import pytest

from clerksync.write.user_batches import UserBatches
from tests.integration.write.rate_limits.buckets import Buckets


@pytest.fixture
def buckets(connection: psycopg.Connection, users: UserBatches) -> Iterator[Buckets]:
    """With a tier TEN: ten tokens, of which none comes back."""
    before = connection.execute("SELECT * FROM tiers").fetchall()
    buckets = Buckets(connection, users)
    buckets.tier("TEN", 10, 0)
    yield buckets
    with connection.transaction():
        connection.execute("DELETE FROM tiers")
        connection.cursor().executemany("INSERT INTO tiers VALUES (%s, %s, %s)", before)
