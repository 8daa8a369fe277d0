"""Columns that are shorter than what their source can give: rows may be refused."""

from collections.abc import Iterator
from typing import Final

import psycopg

from clerksync.mapping.as_toml import entry
from clerksync.mapping.table import TableMapping
from clerksync.schema.catalog import columns_of
from clerksync.schema.column_fit import ID_LENGTH
from clerksync.write.identifiers import identifiers

WARNING: Final = "warning:"
"""How a line begins that reports a column that is short."""

# Clerk documents no limits. Of emails RFC 5321 has one, of phone numbers E.164, and its
# IDs have all been this long.
LENGTHS: Final = {"email": 254, "phone_number": 16, "clerk_id": ID_LENGTH}
"""Of the sources that cannot be cut off."""
_OTHERS: Final = 255
_OF_SOURCE: Final = LENGTHS | {"username": 64, "locale": 35}


def short_columns(
    connection: psycopg.Connection, mapping: TableMapping, schema: str
) -> list[str]:
    """Return a line for each column that may refuse what Clerk has, with the line of
    the mapping that prevents it."""
    return list(_short(connection, mapping, schema))


def is_short(length: int | None, source: str) -> bool:
    """Whether a column of that many characters may refuse what a source has."""
    return length is not None and length < _OF_SOURCE.get(source, _OTHERS)


def _short(
    connection: psycopg.Connection, mapping: TableMapping, schema: str
) -> Iterator[str]:
    users = identifiers(mapping, schema)["users"]
    found = columns_of(connection, users.as_string())
    lengths = {name: c.length for name, c in found.items() if c.length is not None}
    for column in mapping.columns:
        length = lengths.get(column.name)
        if column.type != "text" or column.values or column.truncate is not None:
            continue
        if not is_short(length, column.source):
            continue
        said = f'{mapping.table}: column "{column.name}" is {found[column.name].type}'
        if column.source in LENGTHS:
            yield f"{said}. Users with a longer {column.source} are refused."
        else:
            line = entry(column, {"truncate": str(length)})
            yield f"{said}. Longer texts are refused, unless you write {line}"
    if lengths.get(mapping.key, _OTHERS) < LENGTHS["clerk_id"]:
        said = f'{mapping.table}: column "{mapping.key}" is {found[mapping.key].type}'
        yield f"{said}, and Clerk's IDs have {LENGTHS['clerk_id']} characters."
