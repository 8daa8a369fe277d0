"""What the catalog says of a table and its columns."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, LiteralString

import psycopg
from psycopg.rows import class_row

_KIND: LiteralString = """
    SELECT relkind::text FROM pg_class WHERE oid = to_regclass(%s)
"""
_SOURCE: LiteralString = """
    SELECT p.prosrc FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE n.nspname = %s AND p.proname = %s
"""
_SCHEMAS: LiteralString = """
    SELECT n.nspname::text
    FROM pg_class AS t
    JOIN pg_namespace AS n ON n.oid = t.relnamespace
    WHERE t.relname = %s AND t.relkind IN ('r', 'p')
      AND n.nspname !~ '^(pg_|information_schema$)'
    ORDER BY n.nspname <> 'public', n.nspname
"""
_RULES: LiteralString = """
    SELECT quote_ident(rulename), command
    FROM pg_rewrite
    JOIN (VALUES ('2'::"char", 'UPDATE'), ('3', 'INSERT')) AS c (type, command)
        ON c.type = ev_type
    WHERE ev_class = to_regclass(%s) AND command = ANY (%s)
      AND ev_enabled IN ('O', 'A')
    ORDER BY rulename
"""
_COLUMNS: LiteralString = """
    SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
           -- Whatever schema its extension is in. Other names come without the quotes
           -- of quote_all_identifiers.
           CASE WHEN b.typname = 'citext' THEN 'citext'
                ELSE btrim(b.oid::regtype::text, '"')
           END AS base_type,
           CASE WHEN b.typtype = 'e' THEN array(
               SELECT e.enumlabel::text FROM pg_enum AS e
               WHERE e.enumtypid = b.oid ORDER BY e.enumsortorder
           ) END AS labels,
           CASE WHEN b.oid IN ('varchar'::regtype, 'bpchar'::regtype)
                THEN nullif(greatest(a.atttypmod, t.typtypmod), -1) - 4
           END AS length,
           t.typtype = 'd' AS is_domain,
           a.attnotnull OR t.typnotnull AS not_null,
           a.atthasdef OR a.attidentity <> '' AS filled_by_table,
           a.attgenerated <> '' OR a.attidentity = 'a' AS not_writable,
           EXISTS (
               SELECT FROM pg_index AS i
               WHERE i.indrelid = a.attrelid AND i.indkey[0] = a.attnum
                 AND i.indisunique AND i.indisvalid AND i.indnkeyatts = 1
                 AND i.indimmediate AND i.indpred IS NULL
           ) AS is_unique,
           EXISTS (
               SELECT FROM pg_index AS i
               WHERE i.indrelid = a.attrelid AND i.indisunique AND i.indisvalid
                 AND i.indnkeyatts = 1
                 AND (i.indkey[0] = a.attnum OR i.indkey[0] = 0 AND EXISTS (
                     SELECT FROM pg_depend AS d
                     WHERE d.objid = i.indexrelid AND d.refobjid = a.attrelid
                       AND d.refobjsubid = a.attnum
                 ))
           ) AS unique_alone,
           (
               SELECT min(i.indexrelid::regclass::text)
               FROM pg_index AS i
               WHERE i.indrelid = a.attrelid AND i.indisunique AND i.indisvalid
                 AND (a.attnum = ANY (i.indkey::int2[]) OR EXISTS (
                     SELECT FROM pg_depend AS d  -- on an expression, or for some rows
                     WHERE d.objid = i.indexrelid AND d.refobjid = a.attrelid
                       AND d.refobjsubid = a.attnum
                 ))
           ) AS unique_by,
           array(
               SELECT pg_get_expr(c.conbin, c.conrelid)
               FROM pg_constraint AS c
               WHERE c.conrelid = a.attrelid AND c.contype = 'c'
                 AND c.conkey = ARRAY[a.attnum]
               ORDER BY c.conname
           ) AS checks,
           f.conname::text AS foreign_key,
           f.leads_to
    FROM pg_attribute AS a
    JOIN pg_type AS t ON t.oid = a.atttypid
    JOIN pg_type AS b ON b.oid = coalesce(nullif(t.typbasetype, 0), t.oid)
    LEFT JOIN LATERAL (
        SELECT c.conname, n.nspname || '.' || r.relname AS leads_to
        FROM pg_constraint AS c
        JOIN pg_class AS r ON r.oid = c.confrelid
        JOIN pg_namespace AS n ON n.oid = r.relnamespace
        WHERE c.conrelid = a.attrelid AND c.contype = 'f' AND a.attnum = ANY (c.conkey)
        ORDER BY c.conname
        LIMIT 1
    ) AS f ON true
    WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
"""
_LABEL: Final = re.compile(r"'((?:[^']|'')*)'::")


_COARSE_TIME: Final = re.compile(r"timestamp\([0-2]\)")


@dataclass(frozen=True, slots=True)
class FoundColumn:
    """A column as it is in the database."""

    name: str
    type: str
    base_type: str
    """Of a domain, what it is made from. `citext` is named without its schema."""
    labels: list[str] | None
    """Of an enum, in their order."""
    length: int | None
    """The most characters that a varchar(n) or char(n) holds."""
    is_domain: bool
    not_null: bool
    filled_by_table: bool
    not_writable: bool
    is_unique: bool
    """By itself, for all rows, as it is."""
    unique_alone: bool
    """By itself, in whatever way: two rows cannot have the same constant."""
    unique_by: str | None
    """An index of any kind that has a say in it."""
    checks: list[str]
    """The conditions of each CHECK on this column alone."""
    foreign_key: str | None
    leads_to: str | None
    """The table, with its schema, that the foreign key references."""

    @property
    def holds_milliseconds(self) -> bool:
        """Whether a time keeps the precision of Clerk's. Meant for times only."""
        return _COARSE_TIME.match(self.type) is None

    @property
    def allowed(self) -> list[str]:
        """The labels of an enum, or the texts that a CHECK lists."""
        lists = (c for c in self.checks if re.search(r"= ANY|IN \(", c))
        listed = _LABEL.findall(next(lists, ""))
        return self.labels or [label.replace("''", "'") for label in listed]

    @property
    def is_citext(self) -> bool:
        """Whether texts in different cases are the same to it."""
        return self.base_type == "citext"


def kind_of(connection: psycopg.Connection, qualified: str) -> str | None:
    """Return Postgres's letter for the kind of a relation; None if there is none."""
    row = connection.execute(_KIND, [qualified]).fetchone()
    return None if row is None else str(row[0])


def source_of(connection: psycopg.Connection, schema: str, name: str) -> str | None:
    """Return the body of a function that exists once; None if there is none."""
    row = connection.execute(_SOURCE, [schema, name]).fetchone()
    return None if row is None else str(row[0])


def schemas_with(connection: psycopg.Connection, table: str) -> list[str]:
    """Return the schemas that have a table of that name."""
    return [name for (name,) in connection.execute(_SCHEMAS, [table])]


def rules_of(
    connection: psycopg.Connection, qualified: str, commands: Sequence[str]
) -> list[tuple[str, str]]:
    """Return the rewrite rules of a table for some of INSERT and UPDATE: the quoted
    name of each, and the command."""
    return connection.execute(_RULES, [qualified, list(commands)]).fetchall()


def columns_of(
    connection: psycopg.Connection, qualified: str
) -> dict[str, FoundColumn]:
    """Return the columns of a table by name, in their order."""
    with connection.cursor(row_factory=class_row(FoundColumn)) as cursor:
        return {c.name: c for c in cursor.execute(_COLUMNS, [qualified])}
