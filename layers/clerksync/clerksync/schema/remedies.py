"""What to write into a mapping, or to do with a table, so that they fit together."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Final

import psycopg

from clerksync.mapping.as_toml import entry, toml, toml_name
from clerksync.mapping.table import Column, ColumnType
from clerksync.schema.catalog import FoundColumn
from clerksync.schema.not_null_values import ACTIVE, TEXTS, constant_for, plain
from clerksync.settings.schemas import PUBLIC

_TYPES: Final[dict[str, ColumnType]] = {
    "integer": "integer",
    "bigint": "bigint",
    "numeric": "numeric",
    "double precision": "numeric",
    "boolean": "boolean",
    "jsonb": "jsonb",
    "timestamp with time zone": "timestamp",
    "timestamp without time zone": "timestamp",
}


def fill(
    connection: psycopg.Connection, found: FoundColumn, *, in_companion: bool
) -> str:
    """Return how a mapping fills a column that is NOT NULL and has no default."""
    name = toml_name(found.name)
    if found.unique_alone:
        return _fill_unique(found, in_companion=in_companion)
    where = "values" if in_companion else "[defaults]"
    if found.leads_to is not None:
        return (
            f"A new row must reference {found.leads_to}. If one row there suits every "
            f"new row, say {name} = … in {where}. If not, run: ALTER TABLE … ALTER "
            f'"{found.name}" DROP NOT NULL'
        )
    if not in_companion and (source := _usual_source(found)):
        return f'Fill it, in [columns]: {name} = "{source}"'
    constant, _ = constant_for(connection, found)
    if constant is None:
        rules = "".join(f", with CHECK {check}" for check in found.checks)
        return (
            f"It is {found.type}{rules}. Give it a default: ALTER TABLE … ALTER "
            f'"{found.name}" SET DEFAULT …'
        )
    line = f"{name} = {toml(constant)}"
    line = f": values = {{ {line} }}" if in_companion else f", in [defaults]: {line}"
    return f"Say what a new row has{line}"


def _usual_source(found: FoundColumn) -> str | None:
    if found.base_type.startswith("timestamp"):
        return "created_at"
    is_active = found.base_type == "boolean" and plain(found.name) in ACTIVE
    return "not banned" if is_active else None


def _fill_unique(found: FoundColumn, *, in_companion: bool) -> str:
    name = toml_name(found.name)
    is_text = found.base_type in TEXTS
    if found.name == "id" and (is_text or found.base_type == "uuid"):
        how = "cuid" if is_text else "uuid4"
        where = "the companion" if in_companion else "[table]"
        return (
            f'Say how IDs are made, in {where}: id = {{ column = "id", '
            f'generate = "{how}" }}'
        )
    if is_text and not in_companion:
        return f'Fill it, in [columns]: {name} = "clerk_id"'
    return "Give it a default that is unique, such as a sequence"


def no_column(
    name: str, there: Iterable[str], column: Column | None, *, is_key: bool
) -> str:
    """Return what to write instead of a column that does not exist."""
    close = get_close_matches(name, there, n=1)
    if not close and (is_key or (column and column.source == "email")):
        return "Create it, or name the column that has it"
    if not close:
        return "Create it, or remove the line"
    if column is None:
        return f'There is "{close[0]}": write {toml_name(close[0])} instead'
    renamed = entry(column).partition(" = ")[2]
    return f"Write {toml_name(close[0])} = {renamed}, or remove the line"


def no_table(qualified: str, schemas: list[str], *, is_target: bool) -> str:
    """Return why a table is not found, and the line that leads to it."""
    said = f"there is no table {qualified}"
    if not schemas:
        key = "name" if is_target else "table"
        return f'{said}. Create it, or name another in {key} = "…"'
    where = " and ".join(f'"{schema}"' for schema in schemas)
    if is_target:
        return (
            f"{said}, but one in {where}. Add to [table]: schema = {toml(schemas[0])}"
        )
    return f"{said}, but one in {where}. It must be in the schema of the users"


def no_rule(qualified: str, rule: str, command: str) -> str:
    """Return why a table cannot have a rewrite rule, and what to have instead."""
    return (
        f"{qualified} has a rule for {command}, {rule}. clerksync writes users in WITH "
        "queries, for which Postgres has no such rules, so every user would fail. Use "
        f"a trigger instead, and run: DROP RULE {rule} ON {qualified}"
    )


def uniqueness(
    found: FoundColumn, *, must_be: bool, has_constant: bool
) -> Iterator[str]:
    """Yield why a column must be unique, or must not, and what makes it so."""
    if must_be and not found.is_unique:
        create = f'CREATE UNIQUE INDEX ON … ("{found.name}")'
        if found.unique_by is None:
            yield f"is not unique. {create}"
        else:
            yield (
                f"is unique only by {found.unique_by}, which is partial, deferrable, "
                f"or on something else too. {create} as well"
            )
    if has_constant and found.unique_alone:
        yield (
            "is unique: only one row could have the constant. Drop the uniqueness, or "
            "write what every user has, in [columns]: "
            f'{toml_name(found.name)} = "clerk_id"'
        )


def two_tables(qualified: str, former: str, former_schema: str) -> str:
    """Return what to write if a mapping could mean either of two tables."""
    return (
        f"there are {qualified} and {former}, and the mapping names no schema. Earlier "
        f"versions used {former}. To keep using it, add to [table]: schema = "
        f"{toml(former_schema)}. To use the other, add: schema = {toml(PUBLIC)}"
    )


def other_type(found: FoundColumn, column: Column | None) -> str:
    """Return how a source and a column of another type come together; or nothing."""
    if column is None or column.values:
        return ""
    fitting = _TYPES.get(found.base_type, "text" if found.is_citext else None)
    if "." in column.source and fitting is not None:
        return f". Write {entry(column, {'type': toml(fitting)})}"
    return (
        f'. Remove the line, or ALTER TABLE … ALTER "{found.name}" TYPE {_sql(column)}'
    )


def _sql(column: Column) -> str:
    return "timestamptz" if column.type == "timestamp" else column.type
