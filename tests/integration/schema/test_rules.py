"""Rewrite rules of the application's table."""

import psycopg
import pytest

from clerksync.mapping.file import parse
from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate
from clerksync.write.user_batches import UserBatches
from tests.integration.schema.people import MAPPING, make_tables, refusal
from tests.people import a_user

pytestmark = pytest.mark.alters_schema


@pytest.fixture(autouse=True)
def tables(connection: psycopg.Connection) -> None:
    make_tables(connection)


@pytest.mark.parametrize(
    "rule",
    [
        "ON INSERT TO people DO ALSO NOTIFY people",
        "ON INSERT TO people WHERE NEW.mail IS NULL DO INSTEAD NOTHING",
        "ON UPDATE TO people DO ALSO NOTIFY people",
        "ON UPDATE TO people WHERE OLD.role = 'admin' DO INSTEAD NOTHING",
    ],
)
def test_a_rule_for_inserts_or_updates_is_refused(
    database: Database, connection: psycopg.Connection, rule: str
) -> None:
    """Before each user fails by it."""
    connection.execute(f"CREATE RULE odd AS {rule}".encode())
    said = refusal(database)
    assert f"ours.people has a rule for {rule[3:9]}, odd." in said.replace('"', "")
    assert "Use a trigger instead" in said


def test_a_rule_for_inserts_into_a_companion_is_refused(
    database: Database, connection: psycopg.Connection
) -> None:
    """Its rows are made in the same statement as those of the users."""
    connection.execute("CREATE RULE odd AS ON INSERT TO credits DO ALSO NOTIFY people")
    assert "has a rule for INSERT, odd." in refusal(database)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE RULE odd AS ON UPDATE TO credits DO ALSO NOTIFY people",
        """CREATE RULE odd AS ON INSERT TO people DO ALSO NOTIFY people;
        ALTER TABLE people DISABLE RULE odd""",
        """CREATE RULE odd AS ON UPDATE TO people DO INSTEAD NOTHING;
        ALTER TABLE people ENABLE REPLICA RULE odd""",
    ],
)
def test_a_rule_that_no_write_meets_is_no_misfit(
    database: Database, connection: psycopg.Connection, statement: str
) -> None:
    """Companions get no UPDATE, and a disabled rule does nothing."""
    connection.execute(statement.encode())
    assert migrate(database, schema="ours", mapping=parse(MAPPING, name="mine"))
    table = UserBatches(database, schema="ours", mapping=parse(MAPPING, name="mine"))
    assert table.upsert_many([a_user(1), a_user(2)]).created == 2
    moved = [a_user(n, version=9, first_name="New") for n in (1, 2)]
    assert table.upsert_many(moved).updated == 2


def test_a_rule_for_deletions_is_no_misfit(
    database: Database, connection: psycopg.Connection
) -> None:
    """The deletion itself reports what it could not delete."""
    connection.execute("CREATE RULE odd AS ON DELETE TO people DO INSTEAD NOTHING")
    assert migrate(database, schema="ours", mapping=parse(MAPPING, name="mine"))
