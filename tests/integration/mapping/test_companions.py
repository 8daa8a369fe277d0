"""Rows beside the users, in tables as Prisma makes them: every column NOT NULL, and
some without a default."""

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from clerksync.errors import TableMisfitError
from clerksync.mapping.file import parse
from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate
from clerksync.write.companions import restore_companions
from clerksync.write.user_batches import UserBatches
from tests.people import a_user, user_id

pytestmark = pytest.mark.alters_schema

MAPPING = """\
[table]
name = "people"
key = "clerk"

[columns]
mail = "email"

[[companions]]
table = "credits"
key = "personId"
references = "clerk"
id = { column = "id", generate = "cuid" }
created_at = "createdAt"
updated_at = "updatedAt"
values = { amount = 5 }
"""
TABLES = """
    CREATE TABLE people (clerk text PRIMARY KEY, mail text UNIQUE);
    CREATE TABLE credits (
        id text PRIMARY KEY,
        "personId" text NOT NULL REFERENCES people ON DELETE CASCADE,
        amount integer NOT NULL,
        "createdAt" timestamp(3) NOT NULL,
        "updatedAt" timestamp(3) NOT NULL
    );
"""


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Of a server that is elsewhere."""
    url = make_conninfo(database_url, options="-c timezone=Asia/Kolkata")
    with closing(Database(lambda: url)) as database:
        yield database


@pytest.fixture(autouse=True)
def tables(connection: psycopg.Connection) -> None:
    connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    connection.execute(TABLES.encode())


def migrated(database: Database, mapping: str = MAPPING) -> UserBatches:
    parsed = parse(mapping, name="mine")
    migrate(database, mapping=parsed)
    return UserBatches(database, mapping=parsed)


def credits_of(connection: psycopg.Connection) -> dict[str, tuple[Any, ...]]:
    """By user: id, amount, and both times."""
    query = 'SELECT "personId", id, amount, "createdAt", "updatedAt" FROM credits'
    return {row[0]: row[1:] for row in connection.execute(query.encode())}


@pytest.mark.parametrize("by", ["webhook", "bulk sync", "the end of a run"])
def test_a_row_has_an_id_and_times_of_its_own(
    database: Database, connection: psycopg.Connection, by: str
) -> None:
    """Whoever makes it; in UTC, wherever the server is, and once."""
    users = migrated(database)
    match by:
        case "webhook":
            users.upsert(a_user(1))
            users.upsert(a_user(2))
        case "bulk sync":
            users.upsert_many([a_user(1), a_user(2)])
        case _:
            users.upsert_many([a_user(1), a_user(2)])
            connection.execute("DELETE FROM credits")
            restore_companions(database, users)
    found = credits_of(connection)
    assert found.keys() == {user_id(1), user_id(2)}
    assert len({own_id for own_id, *_ in found.values()}) == 2
    for own_id, amount, created_at, updated_at in found.values():
        assert re.fullmatch("c[0-9a-z]{24}", own_id)
        assert (amount, updated_at) == (5, created_at)
        assert abs(created_at.replace(tzinfo=UTC) - datetime.now(tz=UTC)) < timedelta(
            minutes=5
        )
    restore_companions(database, users)
    users.upsert(a_user(1, version=1, first_name="New"))
    assert credits_of(connection) == found


@pytest.mark.parametrize(
    ("type_", "generate"),
    [("uuid", "uuid4"), ("uuid", "uuid7"), ("serial", "database")],
)
def test_an_id_may_be_of_another_kind(
    database: Database, connection: psycopg.Connection, type_: str, generate: str
) -> None:
    """As that of the users' own table."""
    change = "ALTER TABLE credits DROP COLUMN id, ADD id {} PRIMARY KEY"
    connection.execute(change.format(type_).encode())
    users = migrated(database, MAPPING.replace("cuid", generate))
    users.upsert_many([a_user(1), a_user(2)])
    ids = [own_id for own_id, *_ in credits_of(connection).values()]
    assert len(set(ids)) == 2
    if type_ == "uuid":
        assert {UUID(str(i)).version for i in ids} == {int(generate[-1])}


@pytest.mark.parametrize(
    ("change", "line", "reason"),
    [
        ('DROP COLUMN "updatedAt"', 14, 'column "updatedAt" does not exist'),
        (
            'ALTER "createdAt" TYPE date',
            13,
            'column "createdAt" is not of type timestamp with time zone: it is date',
        ),
        (
            "ALTER id TYPE integer USING 1",
            12,
            'column "id" is not of type text: it is integer',
        ),
        ("DROP amount", 15, 'column "amount" does not exist'),
        ('DROP COLUMN "personId"', 10, 'column "personId" does not exist'),
        (
            "ADD reason text NOT NULL",
            9,
            'column "reason" is NOT NULL and has no default',
        ),
    ],
)
def test_what_does_not_fit_is_told_with_the_table_and_its_own_line(
    database: Database,
    connection: psycopg.Connection,
    change: str,
    line: int,
    reason: str,
) -> None:
    """The table of the users has columns of the same names."""
    more = 'id = { column = "id", generate = "cuid" }\nupdated_at = "updatedAt"\n'
    connection.execute(
        'ALTER TABLE people ADD id text, ADD "updatedAt" timestamp, ADD amount integer'
    )
    connection.execute(f"ALTER TABLE credits {change}".encode())
    mapping = MAPPING.replace('key = "clerk"\n', f'key = "clerk"\n{more}')
    mapping = mapping.replace('"email"\n', '"email"\n\n[defaults]\namount = 1\n')
    with pytest.raises(TableMisfitError) as refused:
        migrated(database, mapping)
    # Two lines for the table, three for the defaults.
    assert f"Line {line + 5}: credits: {reason}." in str(refused.value)
