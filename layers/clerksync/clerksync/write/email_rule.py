"""When two rows of a table cannot both have their emails.

Most often: when the two are the same text. But an index on lower(email), the type
citext, a collation that ignores case or an exclusion constraint refuse more, and a
partial index refuses less. `schema.email_fit` reads the rule from the catalog.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import psycopg
from psycopg import sql

from clerksync.mapping.table import TableMapping

# A dot in its name keeps it apart from the table's own columns.
_COMPARED: Final = sql.Identifier("email.compared")


class EmailRule(NamedTuple):
    """A unique index or an exclusion constraint, in SQL that needs no search_path."""

    by: str
    """The name of the index."""
    compared: str
    """What the index compares: an expression on the table's columns."""
    of_email: str
    """The same for an email that is not in the table: an expression on its column."""
    type: str
    """That of the email's column, without a length."""
    equals: str
    """The operator by which the index compares."""
    where: str | None
    """The condition of a partial index: other rows count for nothing."""
    nulls_distinct: bool
    """False: only one row may be without an email."""
    is_column: bool
    """The email itself is compared, as text is: nothing refuses less."""


ReadRule = Callable[[psycopg.Connection, TableMapping, str], EmailRule | None]
"""Reads the rule of a mapping's table, with clerksync's own tables in a schema."""


def as_text(*_: object) -> None:
    """Read no rule: two emails are the same if they are the same text."""


def email_parts(
    names: dict[str, sql.Composable], rule: EmailRule | None
) -> dict[str, sql.Composable]:
    """Return how the write path finds the rows whose emails rule one out.

    `holders` are the rows that count, `held` is what the rule compares in them,
    `wanted` the same in `{incoming}`, and `equals` compares the two.
    """
    if rule is None:
        return {
            "holders": names["users"],
            "held": names["email"],
            "wanted": sql.Identifier("email"),
            "equals": sql.SQL("="),
        }
    # Subqueries as simple as these become part of the query around them, so that the
    # index can be used.
    where = sql.SQL(f" WHERE {rule.where}" if rule.where else "")
    holders = sql.SQL("(SELECT u.{}, ({}) AS {} FROM {} AS u{})").format(
        names["key"],
        sql.SQL(rule.compared),
        _COMPARED,
        names["users"],
        where,
    )
    return {
        "holders": holders,
        "held": _COMPARED,
        "wanted": _COMPARED,
        "equals": sql.SQL(rule.equals),
    }


def with_compared(
    incoming: sql.Composed, mapping: TableMapping, rule: EmailRule | None
) -> sql.Composed:
    """Add what the rule compares to the users that are handed over."""
    if rule is None:
        return incoming
    return sql.SQL(
        "(SELECT n.*, (SELECT {of_email} FROM (SELECT n.email::{type}) AS _ ({email}))"
        " AS {compared} FROM {incoming} AS n)"
    ).format(
        of_email=sql.SQL(rule.of_email),
        type=sql.SQL(rule.type),
        email=sql.Identifier(mapping.email),
        compared=_COMPARED,
        incoming=incoming,
    )
