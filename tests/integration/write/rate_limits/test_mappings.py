"""Rate limits of users who are in a table that the application has made."""

from pathlib import Path

import psycopg
import pytest

from clerksync.mapping.file import load
from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate
from clerksync.write.rate_limits import Decision, consume
from clerksync.write.user_batches import UserBatches
from tests.applications import TABLES
from tests.people import a_user, user_id
from tests.terminal import clerksync_here

pytestmark = pytest.mark.alters_schema

_MEMBERS = """
[table]
schema = "app"
name = "members"
key = "clerkId"
id = { column = "id", generate = "database" }
rate_limits = true

[columns]
email = "email"
"""
_SCHEMA = "clerksync"


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> dict[str, str]:
    """An application whose table has a key and an email, and nothing else of ours."""
    (tmp_path / "members.toml").write_text(_MEMBERS)
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE SCHEMA app")
        connection.execute(
            'CREATE TABLE app.members (id serial PRIMARY KEY, "clerkId" text UNIQUE,'
            " email text UNIQUE)"
        )
    return {
        "DATABASE_URL": database_url,
        "CLERK_SECRET_KEY": "sk_test_unused",
        "CLERKSYNC_SCHEMA": _SCHEMA,
        "CLERKSYNC_MAPPING": str(tmp_path / "members.toml"),
        "CLERKSYNC_DEFAULT_TIER": "PRO",
    }


def test_a_table_without_a_tier_has_the_default_tier_for_all(
    settings: dict[str, str], database: Database, tmp_path: Path
) -> None:
    """In another schema than ours, and by a key that is not the primary one."""
    mapping = load(settings["CLERKSYNC_MAPPING"])
    migrate(database, schema=_SCHEMA, mapping=mapping, default_tier="PRO")
    users = UserBatches(database, schema=_SCHEMA, mapping=mapping)
    users.upsert(a_user())
    decision = consume(database, user_id(1), 300, schema=_SCHEMA)
    assert decision == Decision(True, 0, 0)
    assert not consume(database, user_id(1), 100, schema=_SCHEMA).allowed
    assert consume(database, user_id(2), 300, schema=_SCHEMA).allowed

    told = clerksync_here("tier", user_id(1), cwd=tmp_path, **settings)
    assert (told.returncode, told.stdout) == (1, "")
    assert "members.toml names no tier column" in told.stderr
    burst = clerksync_here("rate-limit", user_id(1), cwd=tmp_path, **settings)
    assert burst.stdout.startswith(f"{user_id(1)}: PRO, 300 tokens at most")

    users.delete([user_id(1)])
    decision = consume(database, user_id(1), schema=_SCHEMA)
    assert decision == Decision(False, 0, None)


def test_the_table_of_a_preset_has_tiers_that_may_be_null(
    database: Database, connection: psycopg.Connection
) -> None:
    """A tier that is not there counts as the default one."""
    connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    connection.execute(TABLES["clerk-id"])
    mapping = load("clerk-id")
    migrate(database, mapping=mapping)
    UserBatches(database, mapping=mapping).upsert(a_user())
    connection.execute("UPDATE users SET tier = NULL")
    assert consume(database, user_id(1)).remaining == 59
    connection.execute("UPDATE users SET tier = 'ENTERPRISE'")
    assert not consume(database, user_id(1), 6001).allowed
    assert consume(database, user_id(1), 50).allowed


def test_a_mapping_without_rate_limits_gets_neither_tables_nor_function(
    database: Database,
    database_url: str,
    connection: psycopg.Connection,
    tmp_path: Path,
) -> None:
    """And the commands say why they cannot do anything."""
    connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    connection.execute(TABLES["avatar"])
    applied = migrate(database, mapping=load("avatar"))
    assert not {"0003_tiers.sql", "consume_rate_limit"} & set(applied)
    found = connection.execute(
        "SELECT to_regclass('tiers'), to_regclass('rate_limits'),"
        " to_regproc('consume_rate_limit')"
    )
    assert found.fetchone() == (None, None, None)
    settings = {
        "DATABASE_URL": database_url,
        "CLERK_SECRET_KEY": "sk_test_unused",
        "CLERKSYNC_MAPPING": "avatar",
    }
    for arguments in (["tier"], ["rate-limit"], ["sync-user", "--tier", "PRO"]):
        command, *options = arguments
        done = clerksync_here(command, user_id(1), *options, cwd=tmp_path, **settings)
        assert (done.returncode, done.stdout) == (1, "")
        assert "Mapping avatar has no rate limits" in done.stderr
