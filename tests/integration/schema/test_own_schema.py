"""clerksync's own tables beside those of an application: where they are made, found
and moved to."""

from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import psycopg
import pytest

from clerksync.errors import SchemaOutdatedError
from clerksync.mapping.file import load
from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate
from clerksync.settings.schemas import placed
from clerksync.write.user_table import UserTable
from tests.integration.functions.migrate.stack import a_stack
from tests.people import a_user, user_id
from tests.terminal import clerksync_here

pytestmark = pytest.mark.alters_schema

OWN = {"clerksync_migrations", "sync_state", "sync_runs", "sync_run_listed"}
OF_RATE_LIMITS = {"rate_limits", "tiers"}
_MEMBERS = """
[table]
{}name = "members"
key = "clerk_id"
rate_limits = {}

[columns]
email = "email"
"""


class Application:
    """An application with a table of members, and its clerksync."""

    def __init__(self, url: str, folder: Path) -> None:
        self.folder = folder
        self.mapping = folder / "members.toml"
        self.settings = {
            "DATABASE_URL": url,
            "CLERK_SECRET_KEY": "sk_test_unused",
            "CLERKSYNC_MAPPING": str(self.mapping),
        }
        self.describe()

    def describe(self, schema: str | None = None, *, rate_limits: bool = False) -> None:
        line = f'schema = "{schema}"\n' if schema else ""
        self.mapping.write_text(_MEMBERS.format(line, str(rate_limits).lower()))
        load.cache_clear()

    def migrate(self, *options: str, **settings: str) -> CompletedProcess[str]:
        everything = self.settings | settings
        return clerksync_here("migrate", *options, cwd=self.folder, **everything)


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
def installed_before(application: Application, database: Database) -> UserTable:
    """An earlier version has made everything in public: a user, and a tombstone."""
    application.describe(rate_limits=True)
    mapping = load(str(application.mapping))
    migrate(database, schema="public", mapping=mapping)
    users = UserTable(database, schema="public", mapping=mapping)
    for number in (1, 2):
        users.upsert(a_user(number))
    users.delete([user_id(2)])
    return users


def tables(connection: psycopg.Connection, schema: str) -> set[str]:
    query = "SELECT tablename FROM pg_tables WHERE schemaname = %s"
    return {name for (name,) in connection.execute(query, [schema])}


def functions(connection: psycopg.Connection, schema: str) -> set[str]:
    query = """
        SELECT proname FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace
        WHERE nspname = %s
    """
    return {name for (name,) in connection.execute(query, [schema])}


def test_a_new_installation_makes_nothing_in_the_schema_of_the_application(
    application: Application, connection: psycopg.Connection
) -> None:
    """With a mapping and no further setting."""
    done = application.migrate()
    assert done.returncode == 0, done.stderr
    assert tables(connection, "public") == {"members"}
    assert functions(connection, "public") == set()
    assert tables(connection, "clerksync") == OWN
    assert application.migrate().stdout == "The schema is up to date.\n"


@pytest.mark.usefixtures("installed_before")
def test_an_installation_in_public_is_not_begun_a_second_time(
    application: Application, connection: psycopg.Connection
) -> None:
    """Tombstones would be lost. Nothing is changed, and the message has each way."""
    done = application.migrate()
    assert (done.returncode, done.stdout) == (1, "")
    for way in (
        "clerksync's tables are in the schema public",
        "set CLERKSYNC_SCHEMA=public",
        "clerksync migrate --move-to clerksync",
        "set CLERKSYNC_SCHEMA=clerksync",
    ):
        assert way in done.stderr
    assert tables(connection, "clerksync") == set()


@pytest.mark.usefixtures("installed_before")
def test_code_that_starts_before_the_migration_writes_nothing(
    application: Application, connection: psycopg.Connection, database: Database
) -> None:
    """It does not take the missing tables for empty ones: Clerk retries its webhook."""
    mapping = placed(load(str(application.mapping)), "clerksync")
    users = UserTable(database, schema="clerksync", mapping=mapping)
    with pytest.raises(SchemaOutdatedError):
        users.upsert(a_user(2))
    query = "SELECT clerk_id FROM members"
    assert connection.execute(query).fetchall() == [(user_id(1),)]


@pytest.mark.usefixtures("installed_before")
def test_an_installation_in_public_stays_there_if_the_setting_says_so(
    application: Application, connection: psycopg.Connection
) -> None:
    """It is up to date as before."""
    done = application.migrate(CLERKSYNC_SCHEMA="public")
    assert (done.returncode, done.stdout) == (0, "The schema is up to date.\n")
    assert tables(connection, "clerksync") == set()


@pytest.mark.usefixtures("installed_before")
def test_a_different_installation_may_be_begun_beside_it(
    application: Application, connection: psycopg.Connection
) -> None:
    """If the setting names the schema."""
    assert application.migrate(CLERKSYNC_SCHEMA="clerksync").returncode == 0
    assert tables(connection, "clerksync") == OWN | OF_RATE_LIMITS
    assert tables(connection, "public") >= OWN


@pytest.mark.usefixtures("installed_before")
def test_a_deployment_over_an_installation_in_public_fails_with_the_ways_out(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CloudFormation then keeps the functions that know where the tables are."""
    for name, value in application.settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CLERKSYNC_SCHEMA", "")
    with a_stack() as stack:
        answer = stack.ask("Update", before=6)
    assert answer["Status"] == "FAILED"
    assert "set CLERKSYNC_SCHEMA=public (the parameter Schema" in answer["Reason"]


@pytest.mark.usefixtures("installed_before")
def test_a_move_takes_all_that_is_known_along(
    application: Application, connection: psycopg.Connection, database: Database
) -> None:
    """And leaves the application's table, and nothing else, where it was."""
    before = connection.execute("SELECT * FROM sync_state ORDER BY 1").fetchall()
    done = application.migrate("--move-to", "clerksync")
    assert done.returncode == 0, done.stderr
    assert "moved sync_state\n" in done.stdout
    assert "clerksync's tables are now in the schema clerksync. Then deploy" in (
        done.stdout
    )
    query = "SELECT * FROM clerksync.sync_state ORDER BY 1"
    assert connection.execute(query).fetchall() == before
    assert tables(connection, "public") == {"members"}
    assert functions(connection, "public") == set()
    assert tables(connection, "clerksync") == OWN | OF_RATE_LIMITS
    assert application.migrate().stdout == "The schema is up to date.\n"

    mapping = placed(load(str(application.mapping)), "clerksync")
    users = UserTable(database, schema="clerksync", mapping=mapping)
    assert users.upsert(a_user(2)).action == "skipped"
    assert users.upsert(a_user(3)).action == "created"


@pytest.mark.usefixtures("installed_before")
def test_a_second_move_finds_nothing_to_do(application: Application) -> None:
    """Whether or not the setting has been changed meanwhile."""
    application.migrate("--move-to", "clerksync")
    again = application.migrate("--move-to", "clerksync")
    assert (again.returncode, again.stdout) == (
        0,
        "clerksync's tables are already in the schema clerksync.\n",
    )
    old = application.migrate("--move-to", "clerksync", CLERKSYNC_SCHEMA="public")
    assert old.returncode == 0
    assert "Remove CLERKSYNC_SCHEMA, whose default is clerksync" in old.stdout


@pytest.mark.usefixtures("installed_before")
def test_a_setting_that_was_forgotten_begins_nothing_new(
    application: Application, connection: psycopg.Connection
) -> None:
    """After a move; the message has the new value, and the way to begin anew."""
    application.migrate("--move-to", "clerksync", CLERKSYNC_SCHEMA="public")
    done = application.migrate(CLERKSYNC_SCHEMA="public")
    assert (done.returncode, done.stdout) == (1, "")
    assert "Set CLERKSYNC_SCHEMA=clerksync" in done.stderr
    assert tables(connection, "public") == {"members"}
    statement = done.stderr.partition("first run: ")[2].partition(";")[0]
    connection.execute(statement.encode())
    assert application.migrate(CLERKSYNC_SCHEMA="public").returncode == 0


@pytest.mark.usefixtures("installed_before")
def test_tables_may_move_back(
    application: Application, connection: psycopg.Connection
) -> None:
    """Everything is then as before."""
    application.migrate("--move-to", "clerksync")
    back = application.migrate("--move-to", "public")
    assert back.returncode == 0, back.stderr
    assert "Set CLERKSYNC_SCHEMA=public" in back.stdout
    assert application.migrate(CLERKSYNC_SCHEMA="public").returncode == 0
    assert tables(connection, "public") == {"members"} | OWN | OF_RATE_LIMITS
    assert tables(connection, "clerksync") == set()


@pytest.mark.usefixtures("installed_before")
def test_a_move_to_any_other_schema_names_the_setting(
    application: Application, connection: psycopg.Connection
) -> None:
    """The mapping then has to say where the table is."""
    refused = application.migrate("--move-to", "side")
    assert refused.returncode == 1
    assert 'run the command again: schema = "public"' in refused.stderr
    assert tables(connection, "public") >= OWN
    application.describe("public", rate_limits=True)
    done = application.migrate("--move-to", "side")
    assert done.returncode == 0, done.stderr
    assert "Set CLERKSYNC_SCHEMA=side" in done.stdout
    assert application.migrate(CLERKSYNC_SCHEMA="side").returncode == 0
    assert tables(connection, "side") == OWN | OF_RATE_LIMITS


@pytest.mark.usefixtures("installed_before")
def test_what_depends_on_the_rate_limit_follows_it(
    application: Application, connection: psycopg.Connection
) -> None:
    """A view of the application's."""
    connection.execute(
        "CREATE VIEW budget AS SELECT allowed FROM consume_rate_limit('user_1')"
    )
    done = application.migrate("--move-to", "clerksync")
    assert done.returncode == 0, done.stderr
    assert connection.execute("SELECT * FROM budget").fetchall() == [(True,)]


@pytest.mark.usefixtures("installed_before")
def test_a_role_that_could_use_the_tables_still_can(
    application: Application, connection: psycopg.Connection
) -> None:
    """Its grants are worth nothing without USAGE on the schema."""
    role = f"clerksync_test_mover_{connection.info.backend_pid}"
    connection.execute(f"CREATE ROLE {role}".encode())
    try:
        connection.execute(f"GRANT SELECT ON sync_state TO {role}".encode())
        application.migrate("--move-to", "clerksync")
        connection.execute(f"SET ROLE {role}".encode())
        assert connection.execute("SELECT FROM clerksync.sync_state").rowcount == 2
    finally:
        connection.execute("RESET ROLE")
        connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())


@pytest.mark.usefixtures("installed_before")
def test_a_table_that_a_transaction_holds_is_not_moved(
    application: Application, connection: psycopg.Connection
) -> None:
    """Nor is any other; the move does not wait for long."""
    with connection.transaction():
        connection.execute("LOCK TABLE sync_runs IN ROW SHARE MODE")
        done = application.migrate("--move-to", "clerksync")
    assert done.returncode == 1
    assert "A transaction holds one of clerksync's tables" in done.stderr
    assert tables(connection, "public") >= OWN
    assert tables(connection, "clerksync") == set()


@pytest.mark.usefixtures("installed_before")
def test_tables_in_both_schemas_are_not_mixed(
    application: Application, connection: psycopg.Connection
) -> None:
    """The owner has to say which of them count."""
    application.migrate(CLERKSYNC_SCHEMA="clerksync")
    done = application.migrate("--move-to", "clerksync")
    assert done.returncode == 1
    assert "in the schema public and in the schema clerksync" in done.stderr
    assert tables(connection, "public") >= OWN


def test_without_tables_there_is_nothing_to_move(application: Application) -> None:
    """The message names the next step."""
    done = application.migrate("--move-to", "clerksync")
    assert done.returncode == 1
    assert "nothing to move. Run: clerksync migrate" in done.stderr


def test_the_default_mapping_stays_where_it_is(application: Application) -> None:
    """Its users table is clerksync's own, and the application's statements name it."""
    done = application.migrate("--move-to", "clerksync", CLERKSYNC_MAPPING="")
    assert done.returncode == 1
    assert "set CLERKSYNC_MAPPING first" in done.stderr


def test_a_table_in_a_schema_that_the_mapping_does_not_name_is_found(
    application: Application, connection: psycopg.Connection
) -> None:
    """The message has the line to add; with it, migrate succeeds."""
    connection.execute("CREATE SCHEMA crm; ALTER TABLE members SET SCHEMA crm")
    done = application.migrate()
    assert done.returncode == 1
    assert 'there is no table "public"."members"' in done.stderr
    assert 'add schema = "crm" under [table]' in done.stderr
    application.describe("crm")
    assert application.migrate().returncode == 0
