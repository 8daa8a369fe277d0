"""Whether a column takes what its source can give: values of an enum, and lengths."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import psycopg
from psycopg import sql

from clerksync.mapping.as_toml import entry, toml, toml_name
from clerksync.mapping.table import Column, TableMapping
from clerksync.schema.catalog import FoundColumn
from clerksync.write.column_values import of_type

ID_LENGTH: Final = 32
"""Of Clerk's IDs today: `user_` and 27 letters and digits."""


def domain_problems(
    connection: psycopg.Connection, found: FoundColumn, mapping: TableMapping
) -> Iterator[str]:
    """Yield why a column's domain keeps values of other columns from being written.

    Those with `values` get their types from a row whose other columns are NULL.
    """
    typed = [column.name for column in mapping.columns if column.values]
    if mapping.tier is not None and mapping.tier_values:
        typed.append(mapping.tier)
    others = ", ".join(f'"{name}"' for name in typed if name != found.name)
    if others and found.is_domain and _refuses_null(connection, found):
        yield (
            f"is of the domain {found.type}, which refuses NULL. So Postgres cannot "
            f"give {others} the type of its column. Say it of the column instead: "
            f"ALTER DOMAIN {found.type} DROP NOT NULL (or drop its CHECK), and ALTER "
            f'TABLE … ALTER "{found.name}" SET NOT NULL'
        )


def _refuses_null(connection: psycopg.Connection, found: FoundColumn) -> bool:
    # The type's name comes from the catalog, quoted where it has to be.
    query = f"SELECT CAST(NULL AS {found.type})"
    try:
        with connection.transaction():
            connection.execute(query.encode())
    except psycopg.Error:
        return True
    return False


def source_problems(
    connection: psycopg.Connection,
    table: sql.Composable,
    found: FoundColumn,
    column: Column,
    mapping: TableMapping,
) -> Iterator[str]:
    """What keeps a column from taking all that its source can give."""
    if column.values:
        for value in dict(column.values).values():
            yield from _not_taken(connection, table, found, value)
    elif found.labels is not None:
        yield f"is an enum: {_enum_line(column, found.labels)}"
    if column.source == "email" and column.name != mapping.email and found.unique_alone:
        name = toml_name(column.name)
        yield (
            "is unique: an email can be reassigned in one such column only. If it is "
            f"this one, add to [table]: email = {toml(column.name)}. If not, write "
            f'what every user has: {name} = "clerk_id"'
        )
    if column.truncate is not None and column.truncate > (found.length or 10**9):
        line = entry(column, {"truncate": str(found.length)})
        yield f"is a {found.type}, and shorter than what is left. Write {line}"
    yield from _deleted_email_problems(found, column, mapping)


def tier_problems(
    connection: psycopg.Connection,
    table: sql.Composable,
    found: FoundColumn,
    mapping: TableMapping,
) -> Iterator[str]:
    """The same of the tier."""
    if not mapping.tier_values:
        if found.labels is not None:
            yield f"is an enum: write {_tier_line(found.name, found.labels)}"
        return
    for value in dict(mapping.tier_values).values():
        yield from _not_taken(connection, table, found, value)


def default_tier_problem(default_tier: str, mapping: TableMapping) -> str | None:
    """Return what is wrong if the default tier is not among the values of the tier."""
    written = list(dict(mapping.tier_values).values())
    if not written or default_tier in written:
        return None
    line = f"{toml_name(default_tier)} = {toml(written[0])}"
    return (
        f"there is no value for the default tier {default_tier}: set "
        f"CLERKSYNC_DEFAULT_TIER to one of {', '.join(written)}, or add to its values "
        f"{line}"
    )


def _deleted_email_problems(
    found: FoundColumn, column: Column, mapping: TableMapping
) -> Iterator[str]:
    text = mapping.deleted_email
    if text is None or column.source != "email" or found.length is None:
        return
    if len(text.replace("{clerk_id}", "x" * ID_LENGTH)) > found.length:
        yield f"is a {found.type}, and too short for deleted_email"


def _not_taken(
    connection: psycopg.Connection,
    table: sql.Composable,
    found: FoundColumn,
    value: str,
) -> Iterator[str]:
    """Whether the column takes a value, as the write path would write it."""
    try:
        with connection.transaction():
            typed = of_type(found.name, sql.Literal(value), table)
            query = sql.SQL("SELECT ({})::text").format(typed)
            ((read,),) = connection.execute(query).fetchall()
    except psycopg.Error as error:
        if (error.diag.datatype_name or "") not in found.type:
            return  # A domain of a different column: `domain_problems` reports it.
        reason = f"does not take {toml(value)}: it is {found.type}"
        if found.labels is None or value in found.labels:
            yield f"{reason} ({error.diag.message_primary})"
        else:
            yield f"{reason}, with the values {', '.join(map(toml, found.labels))}"
        return
    if read != value:
        # Each run would take it for different, and write it again.
        yield f"takes {toml(value)} and has {toml(read)}: write {toml(read)} in values"


def _enum_line(column: Column, labels: Sequence[str]) -> str:
    said = "say which of its values are written, as in"
    match column.type:
        case "text":
            return f"{said} {entry(column, {'values': _listed(labels)})}"
        case "boolean":
            yes, no = toml(labels[0]), toml(labels[-1])
            values = f"{{ true = {yes}, false = {no} }}"
            return f"{said} {entry(column, {'values': values})}"
    return "remove the line"


def _listed(labels: Iterable[str]) -> str:
    return f"[{', '.join(map(toml, labels))}]"


def _tier_line(name: str, labels: Iterable[str]) -> str:
    return f"tier = {{ column = {toml(name)}, values = {_listed(labels)} }}"
