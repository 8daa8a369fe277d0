"""Rights that default privileges grant to strangers, as Supabase's do."""

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from clerksync.mapping.file import DEFAULT
from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate
from clerksync.schema.new_tables import REVOKED
from tests.open_roles import open_roles

pytestmark = pytest.mark.alters_schema

OURS = (
    "clerksync_migrations, rate_limits, sync_run_listed, sync_runs, sync_state, tiers, "
    "users"
)


@pytest.fixture
def empty(connection: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """A new project of Supabase: nothing is there, and whatever comes is open."""
    connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    with open_roles(connection):
        yield connection


def granted(connection: psycopg.Connection) -> set[tuple[str, str]]:
    """Roles and tables of which a role other than the owner has any right."""
    rows = connection.execute(
        "SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,"
        " t.relname FROM pg_class AS t, aclexplode(t.relacl) AS a"
        " WHERE t.relnamespace = 'public'::regnamespace AND t.relkind = 'r'"
        " AND a.grantee <> t.relowner"
    ).fetchall()
    return {(role, table) for role, table in rows}


def test_nobody_but_the_owner_may_use_a_new_table(
    empty: psycopg.Connection, database: Database
) -> None:
    """Nor everybody; the last line says so. Other roles keep what they got."""
    empty.execute(
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO PUBLIC;"
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO pg_monitor"
    )
    *_, line = migrate(database)
    assert line == f"{REVOKED} ALL ON {OURS} FROM PUBLIC, anon, authenticated"
    assert {role for role, _ in granted(empty)} == {"pg_monitor"}
    empty.execute("SET ROLE anon")
    for table in OURS.split(", "):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            empty.execute(f"SELECT FROM {table}".encode())
    empty.execute("RESET ROLE")


def test_what_the_owner_grants_later_stays(
    empty: psycopg.Connection, database: Database
) -> None:
    """Also when a table of ours is added to those."""
    migrate(database)
    empty.execute("GRANT SELECT ON users TO authenticated; DROP TABLE rate_limits")
    (line,) = migrate(database)
    assert line == f"{REVOKED} ALL ON rate_limits FROM anon, authenticated"
    assert granted(empty) == {("authenticated", "users")}
    assert migrate(database) == []


def test_tables_that_were_there_keep_their_grants(
    empty: psycopg.Connection, database: Database
) -> None:
    """A mapped table, and one of the default name."""
    empty.execute("CREATE TABLE people (id text PRIMARY KEY, email text UNIQUE)")
    columns = tuple(c for c in DEFAULT.columns if c.source == "email")
    mapping = replace(
        DEFAULT,
        table="people",
        columns=columns,
        tier=None,
        created_at=None,
        updated_at=None,
        deleted_at=None,
    )
    *_, line = migrate(database, mapping=mapping)
    assert line.startswith(REVOKED)
    assert "people" not in line
    assert granted(empty) == {("anon", "people"), ("authenticated", "people")}


def test_without_such_grants_nothing_is_revoked_or_said(
    connection: psycopg.Connection, database: Database
) -> None:
    """On any other Postgres."""
    connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    assert not [line for line in migrate(database) if line.startswith(REVOKED)]
