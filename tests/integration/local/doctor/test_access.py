"""Who else may use the tables, as doctor sees it."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.integration.local.doctor.examining import Doctor
from tests.open_roles import open_roles

pytestmark = pytest.mark.alters_schema

_OWN = (
    "sync_state, sync_runs, sync_run_listed, clerksync_migrations, rate_limits, tiers"
)
_MAPPING = """
[table]
name = "people"
key = "id"
[columns]
mail = "email"
"""


@pytest.fixture(autouse=True)
def roles(connection: psycopg.Connection) -> Iterator[None]:
    """The roles of PostgREST, which may look into the schema."""
    with open_roles(connection):
        yield


def test_by_default_only_the_owner_may_use_the_tables(doctor: Doctor) -> None:
    """Whatever roles there are."""
    assert doctor().level("access") == "ok"


@pytest.mark.parametrize(
    ("granted", "said"),
    [
        ("SELECT ON users TO PUBLIC", "PUBLIC, anon, authenticated may read"),
        ("SELECT ON users TO anon", "anon may read users"),
        ("SELECT (email) ON users TO anon", "anon may read users"),
        ("INSERT ON users TO authenticated", "authenticated may write users"),
        ("UPDATE (tier) ON users TO authenticated", "authenticated may write users"),
        ("DELETE ON users TO anon", "anon may write users"),
        ("ALL ON users TO anon", "anon may read and write users"),
        ("SELECT ON sync_state TO anon", "anon may read sync_state"),
        ("UPDATE ON tiers TO anon, authenticated", "anon, authenticated may write"),
    ],
)
def test_a_right_of_strangers_is_a_warning(
    doctor: Doctor, connection: psycopg.Connection, granted: str, said: str
) -> None:
    """With what they may do."""
    connection.execute(f"GRANT {granted}".encode())
    examined = doctor()
    level, message = examined.one("access")
    assert (level, examined.code) == ("warning", 0)
    assert message.startswith(said)


def test_the_statements_of_the_warning_end_it(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """Either of them."""
    grant = f"GRANT ALL ON users, {_OWN} TO anon, authenticated"
    connection.execute(grant.encode())
    message = doctor().one("access")[1]
    revoke = f"REVOKE ALL ON users, {_OWN} FROM anon, authenticated;"
    assert revoke in message
    connection.execute(revoke.encode())
    assert doctor().level("access") == "ok"
    connection.execute(grant.encode())
    policies = message[message.index("ALTER TABLE") :]
    assert policies.count("ENABLE ROW LEVEL SECURITY;") == 7
    connection.execute(policies.encode())
    assert doctor().level("access") == "ok"


def test_a_table_of_the_application_is_looked_at(
    doctor: Doctor, connection: psycopg.Connection, tmp_path: Path
) -> None:
    """Made under default privileges that let strangers in; migrate leaves it so."""
    connection.execute("CREATE TABLE people (id text PRIMARY KEY, mail text UNIQUE)")
    connection.execute("GRANT ALL ON users TO anon")
    file = tmp_path / "mapping.toml"
    file.write_text(_MAPPING)
    level, message = doctor(CLERKSYNC_MAPPING=str(file)).one("access")
    assert level == "warning"
    assert message.startswith("anon, authenticated may read and write people, without")


def test_who_may_not_look_into_the_schema_may_use_none_of_its_tables(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """A grant alone opens nothing."""
    connection.execute("GRANT ALL ON users TO anon")
    connection.execute("REVOKE USAGE ON SCHEMA public FROM PUBLIC, anon")
    assert doctor().level("access") == "ok"
