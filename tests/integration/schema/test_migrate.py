"""The schema: from nothing, beside what an application has, all or nothing."""

import os
import threading
from contextlib import closing
from dataclasses import replace

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.conninfo import make_conninfo

from clerksync.errors import TableMisfitError
from clerksync.mapping.file import DEFAULT
from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate
from clerksync.write import rate_limits
from clerksync.write.sql_functions import build
from clerksync.write.user_batches import UserBatches
from tests.people import a_user, user_id
from tests.tables import rows

pytestmark = pytest.mark.alters_schema

TABLES = {
    "clerksync_migrations",
    "rate_limits",
    "sync_run_listed",
    "sync_runs",
    "sync_state",
    "tiers",
    "users",
}
FUNCTIONS = {function.name for function in build(DEFAULT, "public").functions}
FUNCTIONS |= {rate_limits.FUNCTION}
# Four scripts and the functions.
ALL = 4 + len(FUNCTIONS)
# As DESIGN.md gives it, by an application that has been running for a while.
EXISTING = """
    CREATE TABLE users (
        id text PRIMARY KEY, email text UNIQUE, first_name text, last_name text,
        name text, username text, phone_number text, image_url text,
        tier text NOT NULL DEFAULT 'TRIAL', public_metadata jsonb, banned boolean,
        clerk_created_at timestamptz, deleted_at timestamptz,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        favourite_colour text DEFAULT 'green'
    );
    INSERT INTO users (id, email, first_name, tier, favourite_colour)
    VALUES ('{known}', 'user1@example.com', 'Old', 'PRO', 'blue'),
           ('legacy-7', 'other@example.com', 'Legacy', 'PRO', 'red');
    CREATE TABLE posts (author text NOT NULL REFERENCES users);
    INSERT INTO posts VALUES ('{known}');
"""

# A database whose owner lets nobody create functions.
NO_FUNCTIONS = """
    CREATE SCHEMA policy;
    CREATE FUNCTION policy.refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE 'not here'; END $$;
    CREATE EVENT TRIGGER no_functions ON ddl_command_start
        WHEN TAG IN ('CREATE FUNCTION') EXECUTE FUNCTION policy.refuse();
"""


@pytest.fixture
def empty(connection: psycopg.Connection) -> psycopg.Connection:
    """A connection to a database in which there is nothing yet."""
    connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return connection


def names(connection: psycopg.Connection, query: str) -> set[str]:
    return {row[0] for row in connection.execute(query.encode())}


def tables(connection: psycopg.Connection, schema: str = "public") -> set[str]:
    query = f"SELECT tablename FROM pg_tables WHERE schemaname = '{schema}'"
    return names(connection, query)


def functions(connection: psycopg.Connection, schema: str = "public") -> set[str]:
    query = "SELECT proname FROM pg_proc WHERE pronamespace = '{}'::regnamespace"
    return names(connection, query.format(schema))


def test_an_empty_database_gets_all_that_sync_needs(
    empty: psycopg.Connection, database: Database
) -> None:
    """The names of what was applied, in order; then a user can be written."""
    applied = migrate(database)
    assert applied[0] == "0001_tables.sql"
    assert set(applied[4:]) == FUNCTIONS
    assert tables(empty) == TABLES
    assert functions(empty) == FUNCTIONS
    assert UserBatches(database).upsert(a_user()).action == "created"
    assert rows(empty, "rate_limits").keys() == {user_id(1)}


def test_a_second_time_applies_nothing_and_keeps_what_is_there(
    database: Database, users: UserBatches, connection: psycopg.Connection
) -> None:
    """So that every deployment may run it."""
    users.upsert(a_user())
    before = rows(connection), rows(connection, "clerksync_migrations")
    assert migrate(database) == []
    assert (rows(connection), rows(connection, "clerksync_migrations")) == before


def test_two_at_once_apply_everything_once(
    empty: psycopg.Connection, database_url: str
) -> None:
    """The second waits, and finds nothing to do."""
    start = threading.Barrier(4)
    applied: list[list[str]] = []

    def deploy() -> None:
        with closing(Database(lambda: database_url)) as database:
            database.run(lambda connection: connection.execute("SELECT 1"))
            start.wait(60)
            applied.append(migrate(database))

    threads = [threading.Thread(target=deploy) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, applied)) == [0, 0, 0, ALL]
    assert tables(empty) == TABLES


def test_a_script_that_fails_leaves_nothing_of_itself(
    empty: psycopg.Connection, database: Database
) -> None:
    """An application has a table of that name, halfway down the script."""
    empty.execute("CREATE TABLE sync_runs (mine text)")
    with pytest.raises(errors.DuplicateTable):
        migrate(database)
    assert tables(empty) == {"sync_runs"}
    empty.execute("DROP TABLE sync_runs")
    assert len(migrate(database)) == ALL


def test_a_write_path_that_fails_leaves_no_tables(
    empty: psycopg.Connection, database: Database
) -> None:
    """Tables and functions are one transaction."""
    empty.execute(NO_FUNCTIONS)
    try:
        with pytest.raises(errors.RaiseException):
            migrate(database)
    finally:
        empty.execute("DROP EVENT TRIGGER no_functions; DROP SCHEMA policy CASCADE")
    assert tables(empty) == set()
    assert functions(empty) == set()


@pytest.mark.parametrize(
    ("existing", "reason"),
    [
        ("CREATE TABLE users (id text PRIMARY KEY)", 'column "email" does not exist'),
        (
            "CREATE TABLE rate_limits (ip inet, hits integer)",
            'column "user_id" does not exist',
        ),
        ("CREATE TABLE users (id int PRIMARY KEY)", 'column "id" is not of type text'),
        (
            "CREATE TABLE rate_limits (user_id text UNIQUE, hits int NOT NULL)",
            'column "hits" is NOT NULL and has no default',
        ),
        (
            "CREATE TABLE rate_limits (user_id text, hits integer)",
            'column "user_id" is not unique',
        ),
    ],
)
def test_a_table_that_does_not_fit_is_refused_and_left_alone(
    empty: psycopg.Connection, database: Database, existing: str, reason: str
) -> None:
    """With what is wrong with it; otherwise every webhook would fail later."""
    empty.execute(existing.encode())
    before = tables(empty)
    with pytest.raises(TableMisfitError, match=reason):
        migrate(database)
    assert tables(empty) == before


def test_a_table_that_is_there_is_adopted(
    empty: psycopg.Connection, database: Database
) -> None:
    """Its rows, its other columns, what refers to it and its defaults stay."""
    empty.execute(EXISTING.format(known=user_id(1)).encode())
    migrate(database)
    users = UserBatches(database)
    assert users.upsert(a_user(1)).action == "updated"
    assert users.upsert(a_user(2)).action == "created"
    table = rows(empty)
    assert set(table) == {user_id(1), user_id(2), "legacy-7"}
    known = table[user_id(1)]
    assert known["first_name"] == "Noor"
    assert (known["tier"], known["favourite_colour"]) == ("PRO", "blue")
    assert table[user_id(2)]["favourite_colour"] == "green"
    assert table["legacy-7"]["first_name"] == "Legacy"
    assert rows(empty, "posts").keys() == {user_id(1)}


def test_another_schema_holds_everything(
    empty: psycopg.Connection, database: Database
) -> None:
    """With a name that needs quoting; public stays as it is, and both can live."""
    schema = "My App"
    assert len(migrate(database, schema=schema)) == ALL
    assert tables(empty, schema) == TABLES
    assert tables(empty) == set()
    assert functions(empty) == set()
    users = UserBatches(database, schema=schema)
    assert users.upsert(a_user()).action == "created"
    assert users.delete([user_id(1)]) == 1
    assert len(migrate(database)) == ALL
    assert UserBatches(database).upsert(a_user()).action == "created"


def test_the_search_path_of_the_connection_stays(
    database: Database,
) -> None:
    """A pooler hands the same server connection to others afterwards."""

    def search_path(connection: psycopg.Connection) -> str:
        return str(connection.execute("SHOW search_path").fetchone())

    before = database.run(search_path)
    migrate(database, schema="elsewhere")
    assert database.run(search_path) == before


def test_a_changed_mapping_gets_functions_beside_those_of_running_code(
    database: Database, users: UserBatches, connection: psycopg.Connection
) -> None:
    """While a deployment is under way, old and new code call each their own."""
    mapping = replace(DEFAULT, columns=DEFAULT.columns[:3])
    applied = migrate(database, mapping=mapping)
    assert applied
    assert not FUNCTIONS & set(applied)
    assert functions(connection) == FUNCTIONS | set(applied)
    assert users.upsert(a_user(1)).action == "created"
    newer = UserBatches(database, mapping=mapping)
    assert newer.upsert(a_user(2)).action == "created"
    assert migrate(database, mapping=mapping) == []
    table = rows(connection)
    assert (table[user_id(1)]["name"], table[user_id(2)]["name"]) == (
        "Noor Castell",
        None,
    )


def test_it_needs_no_more_than_the_right_to_create_in_its_schema(
    empty: psycopg.Connection, database_url: str
) -> None:
    """A role that may not create schemas migrates into one that it was given."""
    name = f"clerksync_test_role_{os.getpid()}"
    role = sql.Identifier(name)
    empty.execute(sql.SQL("CREATE ROLE {}").format(role))
    empty.execute(sql.SQL("CREATE SCHEMA given AUTHORIZATION {}").format(role))
    url = make_conninfo(database_url, options=f"-c role={name}")
    try:
        with closing(Database(lambda: url)) as database:
            assert len(migrate(database, schema="given")) == ALL
    finally:
        empty.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(role))
