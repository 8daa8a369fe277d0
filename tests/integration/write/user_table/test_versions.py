"""Which version of a user wins, and what is not written twice."""

import psycopg

from tests.integration.write.user_table.writer import Writer
from tests.people import EPOCH_MS, a_user, user_id
from tests.tables import footprint, rows


def test_an_older_version_changes_nothing(
    writer: Writer, connection: psycopg.Connection
) -> None:
    """An event that was overtaken by a newer one is neither written nor locked."""
    writer.write(a_user(version=10, first_name="New"))
    before = footprint(connection)
    assert writer.write(a_user(version=9, first_name="Old")).action == "unchanged"
    assert rows(connection)[user_id(1)]["first_name"] == "New"
    assert footprint(connection) == before


def test_the_same_version_with_the_same_content_writes_and_locks_nothing(
    writer: Writer, connection: psycopg.Connection
) -> None:
    """A delivery that comes twice leaves no trace the second time."""
    writer.write(a_user())
    before = footprint(connection)
    assert writer.write(a_user()).action == "unchanged"
    assert footprint(connection) == before


def test_the_same_version_with_other_content_is_applied(
    writer: Writer, connection: psycopg.Connection
) -> None:
    """Two changes within one millisecond of Clerk's clock both count."""
    writer.write(a_user(first_name="Before"))
    assert writer.write(a_user(first_name="After")).action == "updated"
    assert rows(connection)[user_id(1)]["first_name"] == "After"


def test_a_newer_version_with_the_same_content_leaves_the_row_alone(
    writer: Writer, connection: psycopg.Connection
) -> None:
    """Only the version moves on: the application sees no update."""
    writer.write(a_user())
    before = footprint(connection, "users", "rate_limits")
    assert writer.write(a_user(version=5)).action == "unchanged"
    assert footprint(connection, "users", "rate_limits") == before
    assert writer.write(a_user(version=3, first_name="Late")).action == "unchanged"


def test_a_change_and_its_undoing_end_with_the_undoing(
    writer: Writer, connection: psycopg.Connection
) -> None:
    """A, B, A again: the late B does not win because the last A looked unchanged."""
    writer.write(a_user(version=1, first_name="A"))
    writer.write(a_user(version=3, first_name="A"))
    writer.write(a_user(version=2, first_name="B"))
    assert rows(connection)[user_id(1)]["first_name"] == "A"


def test_a_row_deleted_by_hand_comes_back(
    writer: Writer, connection: psycopg.Connection
) -> None:
    """The same version counts as news when the row it made is not there."""
    writer.write(a_user())
    connection.execute("DELETE FROM users")
    assert writer.write(a_user()).action == "created"


def test_a_version_keeps_its_milliseconds(
    writer: Writer, connection: psycopg.Connection
) -> None:
    """The version in sync_state is Clerk's updated_at to the millisecond."""
    writer.write(a_user(version=987))
    version = rows(connection, "sync_state")[user_id(1)]["clerk_updated_at"]
    assert version.timestamp() * 1000 == EPOCH_MS + 987
