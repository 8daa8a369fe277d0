"""Expressions by which an index compares emails."""

from collections.abc import Iterator

import psycopg
import pytest

from clerksync.postgres.database import Database
from tests.integration.write.test_email_rules import emails, members
from tests.people import a_user, user_id

pytestmark = pytest.mark.alters_schema

EXPRESSIONS = [
    "lower(trim(email))",
    "upper(email)",
    r"regexp_replace(lower(email), '\+.*@', '@')",
    "md5(lower(email))",
    "hashtext(lower(email))",
    "normal(email)",
]


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION normal(text) RETURNS text IMMUTABLE LANGUAGE sql AS"
            " $$ SELECT lower(replace($1, '.', '')) $$"
        )
        yield connection


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_any_expression_over_the_email_decides_who_holds_it(
    database: Database, connection: psycopg.Connection, expression: str
) -> None:
    """A row of the application keeps its email; two users swap theirs."""
    index = f"CREATE UNIQUE INDEX ON members ({expression})"
    table = members(database, connection, ("text", index))
    connection.execute("INSERT INTO members VALUES ('legacy-7', 'Eve@Example.com', '')")
    first = [a_user(n, email=f"{'xab'[n]}@x.com") for n in (1, 2)]
    outcome = table.upsert_many([*first, a_user(3, email="eve@example.com")])
    assert (outcome.created, outcome.email_conflicts) == (3, 1)
    swapped = [a_user(n, version=9, email=f"{'xBA'[n]}@x.com") for n in (1, 2)]
    assert table.upsert_many(swapped).updated == 2
    assert emails(connection) == {
        "legacy-7": "Eve@Example.com",
        user_id(1): "B@x.com",
        user_id(2): "A@x.com",
        user_id(3): None,
    }


@pytest.mark.parametrize(
    ("index", "without"),
    [
        ("(coalesce(lower(email), ''))", 0),
        ("(coalesce(lower(email), '')) WHERE gone_at IS NULL", 0),
        ("(coalesce(lower(email), '')) WHERE email IS NOT NULL", 1),
        ("(email) NULLS NOT DISTINCT WHERE email IS NOT NULL", 1),
    ],
)
def test_no_email_is_taken_away_if_only_one_row_may_be_without(
    database: Database, connection: psycopg.Connection, index: str, without: int
) -> None:
    """By an expression that makes a value of NULL, as by NULLS NOT DISTINCT."""
    index = f"CREATE UNIQUE INDEX ON members {index}"
    table = members(database, connection, ("text", index))
    table.upsert_many([a_user(n, email=f"{n}@x.com") for n in range(4)])
    for n in range(3):
        moved = a_user(n, version=9, email=f"{n + 1}@x.com")
        assert table.upsert_many([moved]).failed == []
    assert [*emails(connection).values()].count(None) == without
