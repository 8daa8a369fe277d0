"""Values that only some mappings write: constants, values of a type that
SQL does not name, and what a soft deletion leaves."""

from collections.abc import Mapping
from typing import Final, LiteralString

from psycopg import sql

from clerksync.mapping.table import Column, Constant, TableMapping

# A text becomes what the column is (an enum, a citext, a domain) without the name of
# its type, on which a function would then depend: an ORM could not replace the type.
_OF_TYPE: Final[LiteralString] = (
    "(jsonb_populate_record(NULL::{users}, jsonb_build_object({name}, {value})))"
    ".{column}"
)


def of_type(
    column: str, value: sql.Composable, users: sql.Composable
) -> sql.Composable:
    """Return SQL that gives a text the type of a column of the target table.

    It raises an error for a text that the type does not have.
    """
    return sql.SQL(_OF_TYPE).format(
        users=users,
        name=sql.Literal(column),
        value=value,
        column=sql.Identifier(column),
    )


def stored(column: str, *, as_text: bool) -> sql.Composable:
    """Return SQL for what the row `u` has in a column; as a text if the type is only
    known to the table."""
    return sql.SQL("u.{}::text" if as_text else "u.{}").format(sql.Identifier(column))


def compared(column: Column) -> sql.Composable:
    """A column of `u` for comparing it with what Clerk has: a text as its bytes. Its
    own type or collation might take two values for the same."""
    if column.type != "text" and not column.values:
        return stored(column.name, as_text=False)
    return stored(column.name, as_text=True) + sql.SQL(' COLLATE "C"')


def after_soft_deletion(
    column: Column, mapping: TableMapping, key: sql.Composable
) -> sql.Composable:
    """Return SQL for what a soft deletion leaves in a column with personal data."""
    if column.source == "email" and mapping.deleted_email is not None:
        parts = mapping.deleted_email.split("{clerk_id}")
        literals = [sql.Literal(part) for part in parts]
        glued: sql.Composable = literals[0]
        for literal in literals[1:]:
            glued = sql.SQL("{} || u.{} || {}").format(glued, key, literal)
        return glued
    if column.otherwise is None:
        return sql.SQL("NULL")
    return sql.Literal(column.otherwise)


def tier_parts(
    mapping: TableMapping, users: sql.Composable
) -> dict[str, sql.Composable]:
    """What is written into the tier's column, and what it is compared with."""
    if mapping.tier is None:
        return {}
    created: sql.Composable = sql.SQL("coalesce(i.tier, _default_tier)")
    new: sql.Composable = sql.SQL("i.tier")
    has_type = bool(mapping.tier_values)
    if has_type:
        created = of_type(mapping.tier, created, users)
        new = of_type(mapping.tier, new, users)
    old = stored(mapping.tier, as_text=has_type)
    return {"tier_at_creation": created, "new_tier": new, "old_tier": old}


def constants_of(
    values: Mapping[str, Constant],
) -> list[tuple[sql.Identifier, sql.Composable]]:
    """Return columns with their constant values."""
    return [(sql.Identifier(name), sql.Literal(v)) for name, v in values.items()]
