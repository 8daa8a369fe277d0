"""clerksync's own tables move to a different schema."""

import psycopg
import pytest

from clerksync.mapping.file import load
from clerksync.postgres.database import Database
from clerksync.settings.schemas import placed
from clerksync.write.user_batches import UserBatches
from tests.integration.schema.members import (
    OF_RATE_LIMITS,
    OWN,
    Application,
    functions,
    tables,
)
from tests.people import a_user

pytestmark = pytest.mark.alters_schema


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
    users = UserBatches(database, schema="clerksync", mapping=mapping)
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
        done = application.migrate("--move-to", "clerksync", "--lock-wait", "0")
    assert done.returncode == 1
    assert "holds a lock that this needs. Nothing was changed." in done.stderr
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
    assert "nothing was moved" in done.stderr
    assert "run: clerksync migrate" in done.stderr


def test_the_default_mapping_stays_where_it_is(application: Application) -> None:
    """Its users table is clerksync's own, and the application's statements name it."""
    done = application.migrate("--move-to", "clerksync", CLERKSYNC_MAPPING="")
    assert done.returncode == 1
    assert "set CLERKSYNC_MAPPING first" in done.stderr
