"""Where clerksync's own tables are made, and where they are found."""

import psycopg
import pytest

from clerksync.errors import SchemaOutdatedError
from clerksync.mapping.file import load
from clerksync.postgres.database import Database
from clerksync.settings.schemas import placed
from clerksync.write.user_batches import UserBatches
from tests.integration.functions.migrate.stack import a_stack
from tests.integration.schema.members import (
    OF_RATE_LIMITS,
    OWN,
    Application,
    functions,
    tables,
)
from tests.people import a_user, user_id

pytestmark = pytest.mark.alters_schema


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
    users = UserBatches(database, schema="clerksync", mapping=mapping)
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


def test_a_table_in_a_schema_that_the_mapping_does_not_name_is_found(
    application: Application, connection: psycopg.Connection
) -> None:
    """The message has the line to add; with it, migrate succeeds."""
    connection.execute("CREATE SCHEMA crm; ALTER TABLE members SET SCHEMA crm")
    done = application.migrate()
    assert done.returncode == 1
    assert 'there is no table "public"."members"' in done.stderr
    assert 'Add to [table]: schema = "crm"' in done.stderr
    application.describe("crm")
    assert application.migrate().returncode == 0
