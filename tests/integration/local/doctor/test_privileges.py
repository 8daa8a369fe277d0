"""What a role may do: real roles, each of which lacks one right."""

import os
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.doors import assert_tells_nothing_private
from tests.integration.local.doctor.examining import Doctor
from tests.terminal import clerksync_here

pytestmark = pytest.mark.alters_schema

ROLE = sql.Identifier(f"clerksync_somebody_{os.getpid()}")
SOUND = ("ok", "The role of DATABASE_URL has what is needed.")


def execute(connection: psycopg.Connection, statement: str) -> None:
    """A statement in which :role stands for the role of the test."""
    text = statement.replace(":role", ROLE.as_string()).encode()
    connection.execute(text)


@pytest.fixture(autouse=True)
def role(doctor: Doctor, connection: psycopg.Connection) -> Iterator[None]:
    """A role that has what is needed, and whom the settings name."""
    execute(connection, "CREATE ROLE :role LOGIN PASSWORD 'correct-horse'")
    for statement in (
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC",
        "GRANT USAGE, CREATE ON SCHEMA public TO :role",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO :role",
        "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO :role",
    ):
        execute(connection, statement)
    database = sql.Identifier(connection.info.dbname).as_string()
    execute(connection, f"REVOKE ALL ON DATABASE {database} FROM PUBLIC")
    execute(connection, f"GRANT CONNECT, TEMPORARY ON DATABASE {database} TO :role")
    user = ROLE.as_string().strip('"')
    url = doctor.settings["DATABASE_URL"]
    doctor.settings["DATABASE_URL"] = make_conninfo(
        url, user=user, password="correct-horse"
    )
    yield
    execute(connection, "DROP OWNED BY :role")
    execute(connection, "DROP ROLE :role")


def test_a_role_with_what_is_needed_is_right(doctor: Doctor) -> None:
    """It owns nothing."""
    examined = doctor()
    assert examined.of("rights") == [SOUND]
    assert examined.wrong == set()


@pytest.mark.parametrize(
    ("taken", "told"),
    [
        ("USAGE ON SCHEMA public", "lacks USAGE on SCHEMA public"),
        ("SELECT ON users", "lacks SELECT on users"),
        ("INSERT ON users", "lacks INSERT on users"),
        ("UPDATE, DELETE ON users", "lacks UPDATE, DELETE on users"),
        ("INSERT ON rate_limits", "lacks INSERT on rate_limits"),
        ("UPDATE ON sync_state", "lacks UPDATE on sync_state"),
        ("INSERT ON sync_runs", "lacks INSERT on sync_runs"),
        ("SELECT ON tiers", "lacks SELECT on tiers"),
        ("DELETE ON sync_run_listed", "lacks DELETE on sync_run_listed"),
        ("SELECT ON clerksync_migrations", "lacks SELECT on clerksync_migrations"),
    ],
)
def test_a_right_that_is_lacking_is_named(
    doctor: Doctor, connection: psycopg.Connection, taken: str, told: str
) -> None:
    """And what would have failed is not looked at."""
    execute(connection, f"REVOKE {taken} FROM :role")
    examined = doctor()
    expected = f"The role of DATABASE_URL {told}: let its owner GRANT it."
    assert examined.of("rights") == [("wrong", expected)]
    assert examined.wrong == {"rights"}
    assert examined.one("table") == ("skipped", "Waits for: rights.")


def test_temporary_tables_are_needed(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """A bulk run stages its batches there."""
    database = sql.Identifier(connection.info.dbname).as_string()
    execute(connection, f"REVOKE TEMPORARY ON DATABASE {database} FROM :role")
    level, message = doctor().one("rights")
    assert level == "wrong"
    assert "lacks TEMPORARY on DATABASE clerksync_test_" in message


def test_functions_that_may_not_be_called_are_named(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """Each of the write path's."""
    execute(connection, "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM :role")
    messages = [message for _, message in doctor().of("rights")]
    named = [message.partition("lacks EXECUTE on FUNCTION ")[2] for message in messages]
    assert len([name for name in named if name.startswith("clerksync_")]) == 5
    assert len([name for name in named if name.startswith("consume_rate_limit(")]) == 1


def test_who_may_not_create_cannot_migrate(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """A warning: another role may do that."""
    execute(connection, "REVOKE CREATE ON SCHEMA public FROM :role")
    examined = doctor()
    assert examined.code == 0
    (sound, (level, message)) = examined.of("rights")
    assert (sound, level) == (SOUND, "warning")
    assert "may not CREATE in schema public" in message


def test_rights_on_columns_are_rights(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """A role may be let write what it writes and nothing more."""
    execute(connection, "REVOKE UPDATE ON users FROM :role")
    execute(connection, "GRANT UPDATE (email) ON users TO :role")
    assert doctor().of("rights") == [SOUND]


def test_a_sequence_of_the_table_has_rights_of_its_own(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """A serial column fails without; an identity column asks for none."""
    connection.execute(
        "ALTER TABLE users ADD number serial,"
        " ADD place integer GENERATED ALWAYS AS IDENTITY"
    )
    level, message = doctor().one("rights")
    assert level == "wrong"
    assert "lacks USAGE on SEQUENCE users_number_seq" in message
    execute(connection, "GRANT USAGE ON SEQUENCE users_number_seq TO :role")
    assert doctor().of("rights") == [SOUND]


def test_row_level_security_is_told(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """Whether its policies let us write, no check can tell."""
    connection.execute("ALTER TABLE users ENABLE ROW LEVEL SECURITY")
    (sound, (level, message)) = doctor().of("rights")
    assert (sound, level) == (SOUND, "warning")
    assert "under the row-level security of users" in message
    execute(connection, "ALTER ROLE :role BYPASSRLS")
    assert doctor().of("rights") == [SOUND]


def test_soft_deletion_needs_no_right_to_delete_users(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """It updates them; only their buckets go."""
    execute(connection, "REVOKE DELETE ON users FROM :role")
    assert doctor(CLERKSYNC_DELETE_MODE="soft").of("rights") == [SOUND]
    assert "lacks DELETE on users" in doctor().one("rights")[1]


def test_who_may_not_make_the_schema_cannot_migrate(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """A warning, until the schema is there or the role may make it."""
    database = sql.Identifier(connection.info.dbname).as_string()
    doctor.settings["CLERKSYNC_SCHEMA"] = "elsewhere"
    (sound, (level, message)) = doctor().of("rights")
    assert (sound, level) == (SOUND, "warning")
    assert "may not make the schema elsewhere" in message
    assert f"GRANT CREATE ON DATABASE {connection.info.dbname}" in message
    execute(connection, f"GRANT CREATE ON DATABASE {database} TO :role")
    assert doctor().of("rights") == [SOUND]
    execute(connection, f"REVOKE CREATE ON DATABASE {database} FROM :role")
    execute(connection, "CREATE SCHEMA elsewhere AUTHORIZATION :role")
    assert doctor().of("rights") == [SOUND]


def test_who_may_not_refer_to_the_users_cannot_make_their_buckets(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """A warning as long as rate_limits is not there."""
    assert doctor().of("rights") == [SOUND]
    connection.execute("DROP TABLE rate_limits")
    (sound, (level, message)) = doctor().of("rights")
    assert (sound, level) == (SOUND, "warning")
    assert "lacks REFERENCES on users, which clerksync migrate needs" in message
    execute(connection, "GRANT REFERENCES (id) ON users TO :role")
    assert doctor().of("rights") == [SOUND]


@pytest.mark.parametrize(
    ("schema", "statement", "lacking"),
    [
        (
            "public",
            "REVOKE CREATE ON SCHEMA public FROM :role",
            "permission denied for schema public",
        ),
        (
            "public",
            "REVOKE USAGE, CREATE ON SCHEMA public FROM :role",
            "permission denied for schema public",
        ),
        ("public", "DROP TABLE rate_limits", "permission denied for table users"),
    ],
)
def test_migrate_names_the_right_that_is_lacking(
    doctor: Doctor,
    connection: psycopg.Connection,
    schema: str,
    statement: str,
    lacking: str,
) -> None:
    """And all that it needs; the role itself it does not name."""
    execute(connection, statement)
    settings = doctor.settings | {"CLERKSYNC_SCHEMA": schema}
    done = clerksync_here("migrate", cwd=doctor.folder, **settings)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"The role of DATABASE_URL lacks a right: {lacking}" in done.stderr
    for needed in (f"CREATE on the schema {schema}", "REFERENCES"):
        assert needed in done.stderr
    assert_tells_nothing_private(done.stderr, "somebody")


def test_migrate_shows_how_to_create_a_schema_that_the_role_cannot_create(
    doctor: Doctor,
) -> None:
    """The owner of the database pastes the statement; the role itself is not named."""
    settings = doctor.settings | {"CLERKSYNC_SCHEMA": "elsewhere"}
    done = clerksync_here("migrate", cwd=doctor.folder, **settings)
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        "lacks a right: permission denied for database clerksync_test_" in done.stderr
    )
    assert 'run: CREATE SCHEMA "elsewhere" AUTHORIZATION …;' in done.stderr
    assert_tells_nothing_private(done.stderr, "somebody")
