"""Whether a column takes a constant of the mapping."""

from typing import LiteralString

import psycopg
from psycopg import sql

from clerksync.mapping.table import ColumnType, Constant


def takes(
    connection: psycopg.Connection,
    table: sql.Composable,
    column: str,
    *,
    type_: str,
    constant: Constant,
    stands_in_for: ColumnType | None,
) -> bool:
    """Whether an INSERT would take it, as a default or in place of a value.

    Only planned, and so neither written nor in need of a right. A cast alone would not
    tell: it shortens a text and makes 1 true. But it asks for the checks of a domain.
    """
    value: sql.Composable = sql.Literal(constant)
    if stands_in_for is not None:
        value = sql.SQL("CAST({} AS " + _as_handed_over(stands_in_for) + ")").format(
            value
        )
    # The type's name comes from the catalog, quoted where it has to be.
    cast = sql.SQL("SELECT CAST({} AS {})").format(value, sql.SQL(type_))
    insert = sql.SQL("EXPLAIN INSERT INTO {} ({}) SELECT {}").format(
        table, sql.Identifier(column), value
    )
    for query in (cast, insert):
        try:
            with connection.transaction():
                connection.execute(query)
        except psycopg.errors.InsufficientPrivilege:
            continue
        except psycopg.Error:
            return False
    return True


def _as_handed_over(type_: ColumnType) -> LiteralString:
    return "timestamptz" if type_ == "timestamp" else type_
