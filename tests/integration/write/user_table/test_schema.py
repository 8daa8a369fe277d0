"""The schema in which the tables are, or are not yet."""

import psycopg
import pytest
from psycopg import errors

from clerksync.errors import SchemaOutdatedError
from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate
from clerksync.write.user_batches import UserBatches
from tests.integration.write.user_table.writer import Writer
from tests.people import a_user, user_id
from tests.tables import rows


@pytest.mark.alters_schema
def test_tables_may_live_in_a_schema_of_their_own(
    database: Database, door: str, connection: psycopg.Connection
) -> None:
    """CLERKSYNC_SCHEMA names it, whatever it is called."""
    migrate(database, schema='my "app"')
    writer = Writer(database, door, schema='my "app"')
    assert writer.write(a_user()).action == "created"
    assert rows(connection) == {}
    assert writer.table.find(user_id(1)) is not None


def test_code_ahead_of_the_database_says_what_to_do(
    database: Database, door: str
) -> None:
    """A missing function or table is answered with: run migrate."""
    with pytest.raises(SchemaOutdatedError, match="migrate"):
        Writer(database, door, schema="nowhere").write(a_user())


@pytest.mark.alters_schema
def test_what_a_trigger_lacks_is_not_our_schema(
    users: UserBatches, connection: psycopg.Connection
) -> None:
    """To migrate would not help: the error names what the application lacks."""
    connection.execute(
        "CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql"
        " AS 'BEGIN PERFORM no_such_function(); RETURN new; END';"
        "CREATE TRIGGER audit BEFORE INSERT ON users FOR EACH ROW"
        " EXECUTE FUNCTION audit()"
    )
    with pytest.raises(errors.UndefinedFunction, match="no_such_function"):
        users.upsert(a_user())


@pytest.mark.alters_schema
def test_a_key_that_is_not_unique_any_more_says_what_to_do(
    users: UserBatches, connection: psycopg.Connection
) -> None:
    """`migrate` then names the column."""
    users.upsert(a_user())
    connection.execute("ALTER TABLE sync_state DROP CONSTRAINT sync_state_pkey")
    with pytest.raises(SchemaOutdatedError, match="migrate"):
        users.upsert(a_user(version=1, first_name="New"))
