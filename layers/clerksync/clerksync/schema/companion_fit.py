"""Whether a companion's key can follow the users: its type, and its foreign keys."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from clerksync.mapping.as_toml import toml
from clerksync.mapping.table import Companion, TableMapping
from clerksync.write.identifiers import companion_table, identifiers

_TYPES: LiteralString = """
    SELECT format_type(k.atttypid, k.atttypmod), format_type(r.atttypid, r.atttypmod)
    FROM pg_attribute AS k, pg_attribute AS r
    WHERE k.attrelid = to_regclass(%(table)s) AND k.attname = %(key)s
      AND r.attrelid = to_regclass(%(users)s) AND r.attname = %(references)s
      AND NOT k.attisdropped AND NOT r.attisdropped
"""
_FOREIGN_KEYS: LiteralString = """
    SELECT f.confrelid = to_regclass(%(users)s) AS leads_to_users,
           f.confrelid::regclass::text AS leads_to,
           r.attname::text AS column,
           f.confdeltype = 'c' AS cascades
    FROM pg_constraint AS f
    JOIN pg_attribute AS k ON k.attrelid = f.conrelid AND f.conkey = ARRAY[k.attnum]
    JOIN pg_attribute AS r ON r.attrelid = f.confrelid AND f.confkey = ARRAY[r.attnum]
    WHERE f.contype = 'f' AND f.conrelid = to_regclass(%(table)s)
      AND k.attname = %(key)s
    ORDER BY f.conname
"""


@dataclass(frozen=True, slots=True)
class _ForeignKey:
    leads_to_users: bool
    leads_to: str
    column: str
    cascades: bool


def key_problems(
    connection: psycopg.Connection,
    companion: Companion,
    mapping: TableMapping,
    schema: str,
) -> Iterator[str]:
    """What is wrong with the key of a companion; nothing where a column is missing."""
    names = {
        "table": companion_table(companion, mapping, schema).as_string(),
        "key": companion.key,
        "users": identifiers(mapping, schema)["users"].as_string(),
        "references": companion.references,
    }
    types = connection.execute(_TYPES, names).fetchone()
    if types is None:
        return
    if not _comparable(connection, *types):
        yield (
            f"is a {types[0]}, and cannot hold the {types[1]} of "
            f'"{companion.references}". Name the column of the users that it holds: '
            'references = "…"'
        )
        return
    with connection.cursor(row_factory=class_row(_ForeignKey)) as cursor:
        keys = cursor.execute(_FOREIGN_KEYS, names).fetchall()
    for key in keys:
        if not key.leads_to_users:
            yield (
                f"refers to {key.leads_to}, and not to {names['users']}. Name the "
                'column that does: key = "…"'
            )
        elif key.column != companion.references:
            yield (
                f'refers to "{key.column}", and not to "{companion.references}". Write '
                f"references = {toml(key.column)}"
            )
    if companion.is_rate_limits and not any(k.cascades for k in keys):
        yield (
            "does not go with its user: ALTER TABLE "
            f"{names['table']} ADD FOREIGN KEY ({companion.key}) REFERENCES "
            f"{names['users']} ({companion.references}) ON DELETE CASCADE"
        )


def _comparable(connection: psycopg.Connection, key: str, reference: str) -> bool:
    # The names of the types come from the catalog, quoted where they have to be.
    query = sql.SQL("SELECT CAST(NULL AS {}) = CAST(NULL AS {})").format(
        sql.SQL(key), sql.SQL(reference)
    )
    try:
        with connection.transaction():
            connection.execute(query)
    except psycopg.Error:
        return False
    return True
