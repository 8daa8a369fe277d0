"""Whether a mapping that exists still fits its table."""

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg

from clerksync.mapping.table import TableMapping
from clerksync.schema.catalog import FoundColumn, columns_of
from clerksync.schema.table_fit import Misfit, misfits
from clerksync.write.identifiers import identifiers


@dataclass(frozen=True, slots=True)
class Checked:
    """What a mapping and its table look like together."""

    problems: list[str]
    """Each with its line and what to do."""
    unfilled: list[str]
    """The columns that nothing fills, each with what it holds then."""


def check(
    connection: psycopg.Connection, mapping: TableMapping, schema: str
) -> Checked:
    """Compare a mapping with its tables. Read only the catalog."""
    table = identifiers(mapping, schema)["users"].as_string()
    columns = columns_of(connection, table)
    found = misfits(connection, mapping, schema)
    if not mapping.rate_limits:
        relevant = found
    else:
        # `migrate` makes our own buckets.
        relevant = [m for m in found if m.table not in {"rate_limits", "tiers"}]
    return Checked(
        [_message(mapping, misfit) for misfit in relevant],
        [*_unfilled(mapping, columns)],
    )


def _message(mapping: TableMapping, misfit: Misfit) -> str:
    line = mapping.line_of(misfit.table, misfit.column)
    return f"line {line}: {misfit.table}: {misfit.reason}."


def _unfilled(mapping: TableMapping, columns: dict[str, FoundColumn]) -> Iterator[str]:
    filled = {*mapping.shown, *mapping.defaults, mapping.deleted_at}
    for name, found in columns.items():
        # One that must have a value is a problem already.
        if name in filled or (found.not_null and not found.filled_by_table):
            continue
        if found.not_writable:
            then = "the table computes it"
        else:
            then = "its default" if found.filled_by_table else "NULL"
        yield f"{name} ({found.type}): {then}"
