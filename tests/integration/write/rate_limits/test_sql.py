"""The function as an application's own SQL calls it."""

import os
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from clerksync.errors import TableMisfitError
from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate
from clerksync.write.rate_limits import Decision, consume
from clerksync.write.user_batches import UserBatches
from tests.integration.write.rate_limits.buckets import Buckets
from tests.people import a_user, user_id
from tests.tables import rows


def test_it_is_called_by_position_or_by_name(buckets: Buckets) -> None:
    """The names of its arguments and columns stay. A cost that is not given is 1."""
    somebody = buckets.user(tier="TEN")
    assert buckets.ask("SELECT * FROM consume_rate_limit(%s)", somebody) == {
        "allowed": True,
        "remaining": 9,
        "retry_after_ms": 0,
    }
    row = buckets.ask(
        "SELECT r.* FROM users AS u, consume_rate_limit(user_id => u.id, cost => 3) r"
        " WHERE u.id = %s",
        somebody,
    )
    assert row["remaining"] == 6


def test_a_connection_of_the_applications_own_will_do(
    buckets: Buckets, database_url: str
) -> None:
    """Whatever rows it makes. What a transaction took, its rollback gives back."""
    somebody = buckets.user(tier="TEN")
    with psycopg.connect(database_url, row_factory=dict_row) as own:
        assert consume(own, somebody, 4) == Decision(True, 6, 0)
        own.rollback()
        assert consume(own, somebody, 1) == Decision(True, 9, 0)


@pytest.mark.alters_schema
def test_it_works_in_another_schema_that_is_in_no_search_path(
    database: Database, connection: psycopg.Connection
) -> None:
    """Whatever the schema is called, and whatever else has the names of its tables."""
    schema = 'my "app"'
    migrate(database, schema=schema)
    users = UserBatches(database, schema=schema)
    users.upsert(a_user())
    connection.execute("CREATE TABLE pg_temp.tiers (odd text)")
    connection.execute("SET search_path TO pg_temp")
    assert consume(connection, user_id(1), schema=schema) == Decision(True, 59, 0)
    assert consume(database, user_id(1), schema=schema).remaining == pytest.approx(
        58, abs=1.9
    )
    assert rows(connection, "tiers") == {}


@pytest.fixture
def as_application(
    connection: psycopg.Connection, database_url: str
) -> Iterator[psycopg.Connection]:
    """A role that has no more than the recipes give it."""
    role = sql.Identifier(f"clerksync_test_application_{os.getpid()}")
    connection.execute(sql.SQL("CREATE ROLE {}").format(role))
    connection.execute(
        sql.SQL(
            "GRANT SELECT ON users, tiers, sync_state TO {0};"
            "GRANT SELECT, INSERT, UPDATE ON rate_limits TO {0}"
        ).format(role)
    )
    options = f"-c role={role.as_string().strip(chr(34))}"
    with psycopg.connect(
        make_conninfo(database_url, options=options), autocommit=True
    ) as own:
        yield own
    connection.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(role))


def test_it_has_the_rights_of_its_caller_and_needs_few(
    buckets: Buckets, connection: psycopg.Connection, as_application: psycopg.Connection
) -> None:
    """Whoever is asked about. Without any, it is nobody's way around them."""
    somebody, other = buckets.user(1, tier="TEN"), buckets.user(2, tier="TEN")
    connection.execute("DELETE FROM rate_limits WHERE user_id = %s", [other])
    for who in (somebody, other, user_id(404)):
        assert consume(as_application, who).allowed
    with pytest.raises(errors.InsufficientPrivilege):
        as_application.execute("UPDATE users SET tier = 'PRO'")
    connection.execute("REVOKE UPDATE ON rate_limits FROM PUBLIC")
    connection.execute(
        sql.SQL("REVOKE UPDATE ON rate_limits FROM {}").format(
            sql.Identifier(f"clerksync_test_application_{os.getpid()}")
        )
    )
    with pytest.raises(errors.InsufficientPrivilege):
        consume(as_application, somebody)


@pytest.mark.alters_schema
def test_the_default_tier_is_that_of_the_settings(
    database: Database, connection: psycopg.Connection
) -> None:
    """As of the last migration. One that is new gets the numbers of FREE to start."""
    assert migrate(database, default_tier="PRO") == ["consume_rate_limit"]
    assert migrate(database, default_tier="PRO") == []
    assert consume(database, user_id(404)).remaining == 299
    odd = "it's {new} \\ $1"
    assert migrate(database, default_tier=odd) == ["consume_rate_limit"]
    assert consume(database, user_id(404)).remaining == 59
    assert rows(connection, "tiers")[odd]["capacity"] == 60
    connection.execute("UPDATE tiers SET capacity = 7 WHERE name = %s", [odd])
    assert migrate(database, default_tier=odd) == []
    assert consume(database, user_id(404)).remaining == 6
    assert migrate(database) == ["consume_rate_limit"]
    assert consume(database, user_id(404)).remaining == 59


@pytest.mark.alters_schema
def test_a_function_of_the_application_is_not_overwritten(
    database: Database, connection: psycopg.Connection
) -> None:
    """It is named, and the migration changes nothing."""
    connection.execute(
        "DROP FUNCTION consume_rate_limit;"
        "CREATE FUNCTION consume_rate_limit(text, double precision) RETURNS text"
        " LANGUAGE sql AS 'SELECT $1'"
    )
    with pytest.raises(TableMisfitError, match="clerksync did not make"):
        migrate(database, default_tier="PRO")
    row = connection.execute("SELECT consume_rate_limit('mine', 1)").fetchone()
    assert row == ("mine",)


@pytest.mark.alters_schema
@pytest.mark.parametrize(
    ("table", "existing", "reason"),
    [
        ("tiers", "(name text PRIMARY KEY, price int)", 'column "capacity"'),
        ("rate_limits", "(user_id text PRIMARY KEY, hits int)", 'column "tokens"'),
    ],
)
def test_tables_that_do_not_fit_are_named(
    database: Database,
    connection: psycopg.Connection,
    table: str,
    existing: str,
    reason: str,
) -> None:
    """The application's own of the same name: nothing of them is changed."""
    connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    connection.execute(f"CREATE TABLE {table} {existing}".encode())
    with pytest.raises(TableMisfitError, match=f'"{table}" is there.*{reason}'):
        migrate(database)
    names = connection.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    )
    assert names.fetchall() == [(table,)]


@pytest.mark.alters_schema
def test_tiers_of_the_application_are_kept(
    database: Database, connection: psycopg.Connection
) -> None:
    """With what more it knows of them. Only the default tier is added."""
    connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    connection.execute(
        "CREATE TABLE tiers (name text PRIMARY KEY, capacity double precision NOT NULL,"
        " refill_per_second double precision NOT NULL, price int);"
        "INSERT INTO tiers VALUES ('GOLD', 5, 0, 100)"
    )
    migrate(database)
    assert rows(connection, "tiers").keys() == {"GOLD", "FREE"}


@pytest.mark.alters_schema
def test_a_bucket_that_a_trigger_keeps_away_is_an_error(
    database: Database, connection: psycopg.Connection, users: UserBatches
) -> None:
    """Neither let through without limits, nor tried for ever."""
    users.upsert(a_user())
    connection.execute(
        "DELETE FROM rate_limits;"
        "CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql"
        " AS 'BEGIN RETURN NULL; END';"
        "CREATE TRIGGER skip BEFORE INSERT ON rate_limits"
        " FOR EACH ROW EXECUTE FUNCTION skip()"
    )
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="neither be seen"):
        consume(database, user_id(1))
