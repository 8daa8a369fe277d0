"""Triggers that undo a write: the statement reports a row, and the table shows none."""

from collections.abc import Iterator

import psycopg
import pytest

from clerksync.errors import RowRefusedError
from clerksync.postgres.database import Database
from clerksync.write.user_batches import UserBatches
from tests.integration.write.test_refused_rows import MEMBERS, held, table, trigger
from tests.people import a_user

pytestmark = pytest.mark.alters_schema


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(MEMBERS)
        yield connection


@pytest.fixture
def members(database: Database, connection: psycopg.Connection) -> UserBatches:
    del connection  # which made the table
    return table(database)


@pytest.mark.parametrize(
    ("when", "body"),
    [
        ("AFTER INSERT", "DELETE FROM members WHERE clerk = NEW.clerk; RETURN NULL;"),
        ("BEFORE INSERT", "NEW.clerk := 'x'; RETURN NEW;"),
    ],
    ids=["deletes it again", "gives it another key"],
)
def test_a_row_that_is_gone_after_its_insert_is_not_created(
    members: UserBatches, connection: psycopg.Connection, when: str, body: str
) -> None:
    """The table has no row of the user."""
    trigger(connection, when, body)
    with pytest.raises(RowRefusedError):
        members.upsert(a_user(1))
    assert held(connection) == set()
