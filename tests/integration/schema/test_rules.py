"""Rewrite rules of the application's table."""

import psycopg
import pytest

from clerksync.mapping.file import parse
from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate
from tests.integration.schema.people import MAPPING, make_tables, refusal

pytestmark = pytest.mark.alters_schema


@pytest.fixture(autouse=True)
def tables(connection: psycopg.Connection) -> None:
    make_tables(connection)


@pytest.mark.xfail(
    strict=True, reason="Postgres has no ON CONFLICT for a table with such a rule"
)
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
    assert "rule" in said
    assert "odd" in said


def test_a_rule_for_deletions_is_no_misfit(
    database: Database, connection: psycopg.Connection
) -> None:
    """The deletion itself reports what it could not delete."""
    connection.execute("CREATE RULE odd AS ON DELETE TO people DO INSTEAD NOTHING")
    assert migrate(database, schema="ours", mapping=parse(MAPPING, name="mine"))
