"""An application whose users table is its own."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from clerksync.mapping.file import load
from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate
from clerksync.write.user_batches import UserBatches
from tests.integration.schema.members import Application
from tests.people import a_user, user_id


@pytest.fixture
def application(
    connection: psycopg.Connection, database_url: str, tmp_path: Path
) -> Iterator[Application]:
    """Nothing of clerksync is in its database."""
    connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    connection.execute("CREATE TABLE members (clerk_id text UNIQUE, email text UNIQUE)")
    yield Application(database_url, tmp_path)
    load.cache_clear()


@pytest.fixture
def installed_before(application: Application, database: Database) -> UserBatches:
    """An earlier version has made everything in public: a user, and a tombstone."""
    application.describe(rate_limits=True)
    mapping = load(str(application.mapping))
    migrate(database, schema="public", mapping=mapping)
    users = UserBatches(database, schema="public", mapping=mapping)
    for number in (1, 2):
        users.upsert(a_user(number))
    users.delete([user_id(2)])
    return users
