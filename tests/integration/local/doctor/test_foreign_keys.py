"""Foreign keys that would block deletions, and the statements that mend them."""

import psycopg
import pytest

from local.doctor.foreign_keys import cascading
from tests.integration.local.doctor.examining import Doctor

pytestmark = pytest.mark.alters_schema

NONE = ("ok", "None blocks the deletion of a user.")


def mend(connection: psycopg.Connection, message: str) -> None:
    """Do what the message says."""
    statement = message.partition("Mend it: ")[2].partition(";")[0]
    assert statement.startswith("ALTER TABLE ")
    connection.execute(statement.encode())


def add_user(connection: psycopg.Connection) -> None:
    connection.execute("INSERT INTO users (id, email) VALUES ('user_1', 'a@x.test')")


@pytest.mark.parametrize(
    "action", ["", "ON DELETE RESTRICT", "ON UPDATE CASCADE", "DEFERRABLE"]
)
def test_a_key_without_an_action_is_named_and_can_be_mended(
    doctor: Doctor, connection: psycopg.Connection, action: str
) -> None:
    """A warning; with the statement carried out, the user can be deleted."""
    add_user(connection)
    connection.execute(
        f"CREATE TABLE orders (user_id text REFERENCES users {action})".encode()
    )
    connection.execute("INSERT INTO orders VALUES ('user_1')")
    examined = doctor()
    level, message = examined.one("foreign keys")
    assert (examined.code, level) == (0, "warning")
    assert message.startswith("orders.orders_user_id_fkey blocks the deletion")
    mend(connection, message)
    assert doctor().one("foreign keys") == NONE
    assert connection.execute("DELETE FROM users").rowcount == 1


def test_keys_that_let_a_user_go_are_right(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """CASCADE, or SET NULL where that is allowed."""
    connection.execute(
        "CREATE TABLE orders (user_id text REFERENCES users ON DELETE CASCADE,"
        " seller_id text REFERENCES users ON DELETE SET NULL)"
    )
    assert doctor().one("foreign keys") == NONE


def test_null_where_none_is_allowed_blocks_as_well(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """ON DELETE SET NULL for a column that is NOT NULL."""
    connection.execute(
        "CREATE TABLE orders"
        ' ("userId" text NOT NULL REFERENCES users ON DELETE SET NULL)'
    )
    level, message = doctor().one("foreign keys")
    assert level == "warning"
    assert '"userId" is NOT NULL' in message
    mend(connection, message)
    assert doctor().one("foreign keys") == NONE


def test_what_a_cascade_would_take_along_may_be_held_in_turn(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """The user's order goes, and an item holds the order."""
    connection.execute("CREATE SCHEMA shop")
    connection.execute(
        "CREATE TABLE shop.orders (id integer PRIMARY KEY,"
        " user_id text REFERENCES users ON DELETE CASCADE)"
    )
    connection.execute("CREATE TABLE shop.items (order_id int REFERENCES shop.orders)")
    level, message = doctor().one("foreign keys")
    assert level == "warning"
    assert message.startswith("shop.items.items_order_id_fkey blocks the deletion")
    mend(connection, message)
    assert doctor().one("foreign keys") == NONE


def test_partitions_are_told_once(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """By the table that they are parts of."""
    connection.execute(
        "CREATE TABLE visits (user_id text REFERENCES users, day date)"
        " PARTITION BY RANGE (day)"
    )
    connection.execute(
        "CREATE TABLE visits_old PARTITION OF visits FOR VALUES FROM (MINVALUE)"
        " TO ('2026-01-01')"
    )
    assert doctor().one("foreign keys")[1].startswith("visits.visits_user_id_fkey ")


def test_soft_deletion_needs_no_key_to_give_way(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """The row stays."""
    connection.execute("CREATE TABLE orders (user_id text REFERENCES users)")
    examined = doctor(CLERKSYNC_DELETE_MODE="soft")
    assert examined.one("foreign keys") == (
        "ok",
        "Soft deletion keeps the row, and so every foreign key.",
    )


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ("FOREIGN KEY (a) REFERENCES u(id)", ""),
        ("FOREIGN KEY (a) REFERENCES u(id) ON UPDATE CASCADE", " ON UPDATE CASCADE"),
        (
            "FOREIGN KEY (a) REFERENCES u(id) ON DELETE RESTRICT NOT VALID",
            " ON DELETE CASCADE NOT VALID",
        ),
        (
            "FOREIGN KEY (a, b) REFERENCES u(id, b) ON DELETE SET NULL (a) DEFERRABLE",
            " ON DELETE CASCADE DEFERRABLE",
        ),
    ],
)
def test_a_definition_keeps_what_else_it_says(definition: str, expected: str) -> None:
    """Only the action at a deletion is another."""
    changed = cascading(definition)
    assert changed.count(" ON DELETE CASCADE") == 1
    assert expected in changed
    assert "RESTRICT" not in changed
    assert "SET NULL" not in changed
