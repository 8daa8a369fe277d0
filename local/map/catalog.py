"""What the catalog and a sample of rows show about an application's table."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, LiteralString

import psycopg
from psycopg import sql

from clerksync.clerk.user import CLERK_ID_PATTERN
from clerksync.mapping.table import Constant
from clerksync.schema.catalog import FoundColumn, columns_of
from clerksync.schema.not_null_values import TEXTS, constant_for

_SAMPLE_ROWS: Final = 1_000

_PRIMARY_KEY: LiteralString = """
    SELECT a.attname::text
    FROM pg_index AS i
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = %(table)s::regclass AND i.indisprimary AND i.indnkeyatts = 1
"""
# A rule instead of a DELETE, or a trigger before it (type: 8 for DELETE, 2 for BEFORE).
_KEEPS_DELETED: LiteralString = """
    SELECT EXISTS (
               SELECT FROM pg_rewrite
               WHERE ev_class = %(table)s::regclass AND ev_type = '4' AND is_instead
           ) OR EXISTS (
               SELECT FROM pg_trigger
               WHERE tgrelid = %(table)s::regclass AND NOT tgisinternal
                 AND tgtype::int & 10 = 10
           )
"""
_ONE_TO_ONE: LiteralString = """
    SELECT n.nspname::text, t.relname::text, k.attname::text, r.attname::text
    FROM pg_constraint AS f
    JOIN pg_class AS t ON t.oid = f.conrelid
    JOIN pg_namespace AS n ON n.oid = t.relnamespace
    JOIN pg_attribute AS k ON k.attrelid = f.conrelid AND f.conkey = ARRAY[k.attnum]
    JOIN pg_attribute AS r ON r.attrelid = f.confrelid AND f.confkey = ARRAY[r.attnum]
    WHERE f.contype = 'f' AND f.confrelid = %(table)s::regclass
      AND f.conrelid <> f.confrelid
      AND EXISTS (
          SELECT FROM pg_index AS i
          WHERE i.indrelid = f.conrelid AND i.indisunique AND i.indisvalid
            AND i.indnkeyatts = 1 AND i.indkey[0] = k.attnum AND i.indpred IS NULL
      )
    ORDER BY 1, 2, 3
"""
_BLOCKING: LiteralString = """
    SELECT n.nspname || '.' || t.relname || ' (' || f.conname || ')'
    FROM pg_constraint AS f
    JOIN pg_class AS t ON t.oid = f.conrelid
    JOIN pg_namespace AS n ON n.oid = t.relnamespace
    WHERE f.contype = 'f' AND f.conparentid = 0
      AND f.confrelid = %(table)s::regclass AND f.confdeltype IN ('a', 'r')
    ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Values:
    """How many values of a column look like what, in a sample of rows."""

    present: int = 0
    clerk_ids: int = 0
    cuids: int = 0
    uuids_7: int = 0
    uuids: int = 0


@dataclass(frozen=True, slots=True)
class MapColumn:
    """A column, with all that a guess needs."""

    found: FoundColumn
    constant: Constant | None = None
    """What a new row can have. None if it cannot be guessed, or is not needed."""
    is_certain: bool = False
    """Whether that constant is sure to be meant."""
    values: Values = Values()

    @property
    def name(self) -> str:
        return self.found.name

    @property
    def needs_value(self) -> bool:
        """Whether an INSERT must name it."""
        return self.found.not_null and not self.found.filled_by_table


@dataclass(frozen=True, slots=True)
class MapTable:
    """A table as it is."""

    schema: str
    name: str
    columns: Mapping[str, MapColumn]
    primary_key: str | None
    """None if it has none, or one of several columns."""
    sampled_rows: int = 0
    keeps_deleted: bool = False
    """Whether a rule or trigger steps in before a row is deleted."""
    one_to_one: tuple["OneToOne", ...] = field(default=())
    blocked_by: tuple[str, ...] = ()
    """Foreign keys that keep a row from being deleted."""

    @property
    def quoted(self) -> str:
        return sql.Identifier(self.schema, self.name).as_string()


@dataclass(frozen=True, slots=True)
class OneToOne:
    """A table that has at most one row for each row of the users table."""

    table: MapTable
    key: str
    references: str


def read_table(connection: psycopg.Connection, schema: str, name: str) -> MapTable:
    """Return what is known about a table. Read the catalog and at most 1,000 rows."""
    table = _read(connection, schema, name)
    parameters = {"table": table.quoted}
    found = connection.execute(_ONE_TO_ONE, parameters).fetchall()
    companions = [
        OneToOne(_read(connection, its_schema, its_name), key, references)
        for its_schema, its_name, key, references in found
    ]
    keeps_deleted = connection.execute(_KEEPS_DELETED, parameters).fetchone()
    sampled, values = _sample(connection, table)
    return MapTable(
        schema,
        name,
        {
            name: replace(column, values=values[name])
            for name, column in table.columns.items()
        },
        table.primary_key,
        sampled_rows=sampled,
        keeps_deleted=bool(keeps_deleted and keeps_deleted[0]),
        one_to_one=tuple(companions),
        blocked_by=tuple(
            str(name) for (name,) in connection.execute(_BLOCKING, parameters)
        ),
    )


def _read(connection: psycopg.Connection, schema: str, name: str) -> MapTable:
    """The same from the catalog alone, without the tables around it."""
    parameters = {"table": sql.Identifier(schema, name).as_string()}
    key = connection.execute(_PRIMARY_KEY, parameters).fetchone()
    columns = {
        found.name: _column(connection, found)
        for found in columns_of(connection, parameters["table"]).values()
    }
    return MapTable(schema, name, columns, str(key[0]) if key else None)


def _column(connection: psycopg.Connection, found: FoundColumn) -> MapColumn:
    column = MapColumn(found)
    if not column.needs_value:
        return column
    return MapColumn(found, *constant_for(connection, found))


def _sample(
    connection: psycopg.Connection, table: MapTable
) -> tuple[int, dict[str, Values]]:
    """Count what the values look like. The values themselves stay in the database."""
    nothing = {name: Values() for name in table.columns}
    names = [
        name
        for name, column in table.columns.items()
        if column.found.base_type in TEXTS | {"uuid"}
    ]
    counts: list[sql.Composable] = [sql.SQL("count(*)")]
    for name in names:
        value = sql.SQL("left({}::text, 64)").format(sql.Identifier(name))
        counts.append(sql.SQL("count({})").format(value))
        counts += [
            sql.SQL("count(*) FILTER (WHERE {} ~ {})").format(value, sql.Literal(p))
            for p in (
                f"^{CLERK_ID_PATTERN}$",
                "^c[a-z0-9]{24}$",
                "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}$",
                "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}$",
            )
        ]
    query = sql.SQL("SELECT {} FROM (SELECT * FROM {} LIMIT {}) AS sample").format(
        sql.SQL(", ").join(counts),
        sql.Identifier(table.schema, table.name),
        _SAMPLE_ROWS,
    )
    try:
        with connection.transaction():
            row = connection.execute(query).fetchone() or (0,)
    except psycopg.errors.InsufficientPrivilege:
        return 0, nothing
    numbers = [int(number) for number in row]
    per_column = {
        name: Values(*numbers[1 + 5 * at : 6 + 5 * at]) for at, name in enumerate(names)
    }
    return numbers[0], nothing | per_column
