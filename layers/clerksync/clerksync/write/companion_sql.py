"""The rows that users have in other tables, as parts of the upsert and the deletion."""

from collections.abc import Iterator
from typing import LiteralString

from psycopg import sql

from clerksync.mapping.table import Companion, TableMapping
from clerksync.write.column_values import constants_of
from clerksync.write.generated_ids import own_id_of
from clerksync.write.identifiers import companion_table, identifiers

# Only ours is sure to have a unique key. Who lacks a row is looked up one by one: an
# insert would wait for whoever has the companion's row locked, although there is
# nothing to insert. OR keeps it from becoming a join.
_NEW: LiteralString = """,
    {made} AS (
        INSERT INTO {table} ({columns}) SELECT {values} FROM written AS w RETURNING 1
    )"""
_MISSING: LiteralString = """,
    {lacking} AS (
        SELECT w.*
        FROM written AS w
        WHERE {reference} IS NULL OR NOT EXISTS (
            SELECT FROM {table} AS c WHERE c.{companion_key} = {reference}
        )
    ), {made} AS (
        INSERT INTO {table} ({columns}) SELECT {values} FROM {lacking} AS w
        {on_conflict}
        RETURNING 1
    )"""
_LACKS: LiteralString = """EXISTS (
        SELECT FROM {users} AS u
        WHERE u.{key} = ANY (_written) AND NOT EXISTS (
            SELECT FROM {table} AS c WHERE c.{companion_key} = u.{references}
        )
    )"""
_FORGET: LiteralString = (
    "DELETE FROM {table} AS c WHERE c.{companion_key} = ANY (_claimed);"
)
_MADE: LiteralString = "(SELECT count(*) FROM {made})"
_MISSED: LiteralString = "(SELECT count(*) FROM {lacking}) - " + _MADE


def companion_parts(mapping: TableMapping, schema: str) -> dict[str, sql.Composable]:
    """Return parts of `upsert_sql` and `deletion_sql` that are about companions."""
    rows = [*_numbered(mapping, schema)]
    ours = [parts for companion, parts in rows if companion.is_rate_limits]

    def each(text: LiteralString, between: LiteralString = "") -> sql.Composed:
        return sql.SQL(between).join(sql.SQL(text).format(**p) for _, p in rows)

    def total(text: LiteralString) -> sql.Composed:
        return each(text, " + ") if rows else sql.Composed([sql.SQL("0")])

    return {
        "new_companions": each(_NEW),
        "companions": each(_MISSING),
        "companions_each": sql.Literal(len(rows)),
        "companions_made": total(_MADE),
        "companions_missed": total(_MISSED),
        "lacks_companion": each(_LACKS, " OR ") if rows else sql.SQL("false"),
        "forget_companions": sql.SQL("").join(
            sql.SQL(_FORGET).format(**parts) for parts in ours
        ),
    }


def _numbered(
    mapping: TableMapping, schema: str
) -> Iterator[tuple[Companion, dict[str, sql.Composable]]]:
    names = identifiers(mapping, schema)
    for number, companion in enumerate(mapping.companions):
        reference = sql.SQL("w.{}").format(sql.Identifier(f"reference_{number}"))
        yield (
            companion,
            names
            | _row_of(companion, reference, mapping, schema)
            | {
                "made": sql.Identifier(f"companion_{number}"),
                "lacking": sql.Identifier(f"lacking_{number}"),
                "reference": reference,
                "references": sql.Identifier(companion.references),
                "on_conflict": sql.SQL(
                    "ON CONFLICT DO NOTHING" if companion.is_rate_limits else ""
                ),
            },
        )


def companion_rows(
    mapping: TableMapping, schema: str
) -> Iterator[tuple[Companion, dict[str, sql.Composable]]]:
    """What it takes to make each companion's rows from rows `u` of the target table."""
    for companion in mapping.companions:
        references = sql.Identifier(companion.references)
        reference = sql.SQL("u.{}").format(references)
        parts = _row_of(companion, reference, mapping, schema)
        yield companion, parts | {"references": references}


def _row_of(
    companion: Companion, reference: sql.Composable, mapping: TableMapping, schema: str
) -> dict[str, sql.Composable]:
    """What is written, and where, when a row is made for `reference`."""
    times = (companion.created_at, companion.updated_at)
    written: list[tuple[sql.Composable, sql.Composable]] = [
        (sql.Identifier(companion.key), reference),
        *own_id_of(companion.own_id),
        *((sql.Identifier(name), sql.SQL("now()")) for name in times if name),
        *constants_of(companion.values),
    ]
    return {
        "table": companion_table(companion, mapping, schema),
        "companion_key": sql.Identifier(companion.key),
        "columns": sql.SQL(", ").join(column for column, _ in written),
        "values": sql.SQL(", ").join(value for _, value in written),
    }
