"""A deletion that the application's own tables stand against."""

import json
from collections.abc import Iterator

import psycopg
import pytest

from tests.doors import assert_tells_nothing_private, log_lines
from tests.integration.functions.webhook.door import Door, action
from tests.people import user_id
from tests.tables import SYNCED_TABLES, rows


@pytest.fixture
def orders(door: Door, connection: psycopg.Connection) -> Iterator[None]:
    """An order of the user, whose foreign key has no ON DELETE."""
    door.created()
    connection.execute("CREATE TABLE orders (user_id text REFERENCES users)")
    connection.execute("INSERT INTO orders VALUES (%s)", [user_id(1)])
    yield
    connection.execute("DROP TABLE orders")


@pytest.mark.usefixtures("orders")
def test_it_changes_nothing_and_is_a_500(
    door: Door, connection: psycopg.Connection
) -> None:
    """The sender tries again, for about a day. There is no tombstone beside a row."""
    before = [rows(connection, table) for table in SYNCED_TABLES]
    answer = door.deleted()
    assert answer.status == 500
    assert "orders" not in answer.error
    assert [rows(connection, table) for table in SYNCED_TABLES] == before
    assert before[2][user_id(1)]["deleted_at"] is None


@pytest.mark.usefixtures("orders")
def test_the_log_names_the_user_the_constraint_and_the_remedy(
    door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, and nothing of the row."""
    capsys.readouterr()
    door.deleted()
    output = capsys.readouterr().out
    (line,) = log_lines(output, "request failed")
    named = ("clerk_id", "table", "constraint", "sqlstate")
    assert [line[name] for name in named] == [
        user_id(1),
        "orders",
        "orders_user_id_fkey",
        "23503",
    ]
    assert line["reason"].startswith(
        "The deletion is blocked by orders.orders_user_id_fkey. Let the user go there"
    )
    assert_tells_nothing_private(output)


@pytest.mark.usefixtures("orders")
def test_it_is_counted_with_the_constraint_beside_the_number(
    door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a failure of the database, and as what it is."""
    capsys.readouterr()
    door.deleted()
    output = capsys.readouterr().out
    (metric,) = (
        line for line in map(json.loads, output.splitlines()) if "_aws" in line
    )
    assert metric["blocked_by"] == "orders.orders_user_id_fkey"
    counted = ("WebhooksFailed", "DatabaseErrors", "DeletionsBlocked")
    assert [metric[name] for name in counted] == [[1.0], [1.0], [1.0]]
    door.updated(last_name="Ibarra")
    output = capsys.readouterr().out
    assert "WebhooksUpdated" in output
    assert "locked" not in output


@pytest.mark.usefixtures("orders")
def test_the_user_id_is_not_said_of_the_next_delivery(
    door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    """The next one is about another user."""
    door.deleted()
    capsys.readouterr()
    door.created(2)
    (line,) = log_lines(capsys.readouterr().out, "webhook applied")
    assert line["clerk_id"] == user_id(2)


@pytest.mark.usefixtures("orders")
def test_the_retry_succeeds_once_the_rows_let_go_and_then_it_is_final(
    door: Door, connection: psycopg.Connection
) -> None:
    """Until then later news still counts; after it, nothing revives the user."""
    event = door.clerk.event("user.deleted", user_id(1))
    assert door.deliver(event).status == 500
    assert action(door.updated(version=5, last_name="Ibarra")) == "updated"
    connection.execute("DELETE FROM orders")
    assert action(door.deliver(event)) == "deleted"
    assert action(door.updated(version=9)) == "skipped"
    assert rows(connection) == {}


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("table", "blocked_by"),
    [
        (
            "orders (user_id text NOT NULL REFERENCES users ON DELETE SET NULL)",
            "orders.user_id",
        ),
        (
            "orders (user_id text REFERENCES users ON DELETE RESTRICT)",
            "orders.orders_user_id_fkey",
        ),
    ],
)
def test_whatever_blocks_is_named(
    door: Door,
    connection: psycopg.Connection,
    capsys: pytest.CaptureFixture[str],
    table: str,
    blocked_by: str,
) -> None:
    """A column that may not be NULL, or a key of another kind."""
    connection.execute(f"CREATE TABLE {table}".encode())
    connection.execute("INSERT INTO orders VALUES (%s)", [user_id(1)])
    capsys.readouterr()
    try:
        assert door.deleted().status == 500
    finally:
        connection.execute("DROP TABLE orders")
    (line,) = log_lines(capsys.readouterr().out, "request failed")
    assert line["reason"].startswith(f"The deletion is blocked by {blocked_by}. ")


@pytest.mark.usefixtures("known")
def test_a_trigger_that_objects_is_told_as_one(
    door: Door, connection: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has no name that Postgres tells."""
    connection.execute(
        "CREATE FUNCTION object() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN RAISE 'Noor Castell stays'; END $$"
    )
    connection.execute(
        "CREATE TRIGGER stay BEFORE DELETE ON users FOR EACH ROW"
        " EXECUTE FUNCTION object()"
    )
    capsys.readouterr()
    try:
        assert door.deleted().status == 500
    finally:
        connection.execute("DROP FUNCTION object() CASCADE")
    output = capsys.readouterr().out
    assert_tells_nothing_private(output)
    (line,) = log_lines(output, "request failed")
    assert line["reason"].startswith("The deletion is blocked by a trigger. ")


SILENT = {
    "a trigger that keeps the row": "RETURN NULL;",
    "an error of the application's own": "RAISE sqlstate 'PT402';",
}


@pytest.mark.alters_schema
@pytest.mark.parametrize("does", SILENT.values(), ids=SILENT.keys())
def test_a_row_that_a_trigger_keeps_is_not_called_deleted(
    door: Door,
    connection: psycopg.Connection,
    capsys: pytest.CaptureFixture[str],
    does: str,
) -> None:
    """500, so that the sender retries; counted, so that somebody hears of it."""
    door.created()
    connection.execute(
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$BEGIN {does} END$$; CREATE TRIGGER keep BEFORE DELETE ON users"
        " FOR EACH ROW EXECUTE FUNCTION keep()".encode()
    )
    capsys.readouterr()
    assert door.deleted().status == 500
    output = capsys.readouterr().out
    (line,) = log_lines(output, "request failed")
    assert "trigger" in line["reason"]
    (metric,) = (
        line for line in map(json.loads, output.splitlines()) if "_aws" in line
    )
    assert metric["DeletionsBlocked"] == [1.0]
    assert rows(connection).keys() == {user_id(1)}
    assert rows(connection, "sync_state")[user_id(1)]["deleted_at"] is None
