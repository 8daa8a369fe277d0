"""Bring the database schema up to this code: tables, then the write path."""

from collections.abc import Iterator
from importlib import resources

import psycopg
from psycopg import errors, sql

from clerksync import table_mapping
from clerksync.database import Database
from clerksync.errors import TableMisfitError
from clerksync.table_mapping import TableMapping
from clerksync.write_path import build

# Two migrations at once: the second waits, then finds nothing to do. The number is
# arbitrary and only has to stay the same.
_LOCK = "SELECT pg_advisory_xact_lock(7236410598)"
# Who waits for a table keeps all others waiting that come after.
_PATIENCE = """
    SELECT set_config('lock_timeout', least(20000, %(ms)s::int / 2)::text, true),
           set_config('statement_timeout', %(ms)s::int::text, true),
           set_config('idle_in_transaction_session_timeout', %(ms)s::int::text, true)
"""
_LEDGER = """
    CREATE TABLE IF NOT EXISTS clerksync_migrations (
        name       text PRIMARY KEY,
        applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )
"""

_IS_UNIQUE = """
    SELECT 1
    FROM pg_index AS i
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = %s::regclass AND a.attname = %s
      AND i.indisunique AND i.indnkeyatts = 1 AND i.indpred IS NULL
"""
_DEMANDS_MORE = """
    SELECT attname FROM pg_attribute
    WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
      AND attnotnull AND NOT atthasdef AND attidentity = ''
      AND attname <> ALL (%s)
"""
_MISFIT = (
    'The table "{}" is there and does not fit: {}. Mend it, or name another schema in '
    "CLERKSYNC_SCHEMA."
)


def migrate(
    database: Database,
    *,
    schema: str = "public",
    mapping: TableMapping = table_mapping.DEFAULT,
    at_most: float | None = None,
) -> list[str]:
    """Apply what is missing, all or nothing; returns the names of what was applied.

    With `at_most`, in seconds, no statement lasts longer, and the database gives up
    on a client that has fallen silent for as long. A lock is waited for half of it, or
    20 seconds.
    """

    def work(connection: psycopg.Connection) -> list[str]:
        with connection.transaction():
            if at_most is not None:
                connection.execute(_PATIENCE, {"ms": round(at_most * 1000)})
            connection.execute(_LOCK)
            name = sql.Identifier(schema)
            # Creating one that exists still demands the right to create schemas.
            if not _exists(connection, schema):
                connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
            connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(name))
            connection.execute(_LEDGER)
            try:
                applied = [*_apply_tables(connection)]
            except errors.DatatypeMismatch:
                # The foreign key of rate_limits to a users table that was there.
                reason = f'column "{mapping.key}" is not of type text'
                raise TableMisfitError(_MISFIT.format(mapping.table, reason)) from None
            _check_tables(connection, schema, mapping)
            return [*applied, *_install_write_path(connection, schema, mapping)]

    return database.run(work)


def _apply_tables(connection: psycopg.Connection) -> Iterator[str]:
    folder = resources.files("clerksync") / "migrations"
    for script in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if script.name.endswith(".sql") and _is_new(connection, script.name):
            connection.execute(script.read_text("utf-8").encode())
            yield script.name


def _install_write_path(
    connection: psycopg.Connection, schema: str, mapping: TableMapping
) -> Iterator[str]:
    """Functions of earlier versions stay: code that is still running calls them."""
    for function in build(mapping, schema).functions:
        if _is_new(connection, function.name):
            connection.execute(function.definition)
            yield function.name


def _check_tables(
    connection: psycopg.Connection, schema: str, mapping: TableMapping
) -> None:
    """Tables that were there before must be such that the write path can use them."""
    columns = [mapping.key, *(column.name for column in mapping.columns)]
    columns += [mapping.tier, mapping.created_at, mapping.updated_at]
    needed = {
        mapping.table: [*columns, mapping.deleted_at],
        mapping.companion: [mapping.companion_key],
    }
    for table, names in needed.items():
        query = sql.SQL("SELECT {} FROM {} LIMIT 0").format(
            sql.SQL(", ").join(map(sql.Identifier, names)),
            sql.Identifier(schema, table),
        )
        try:
            connection.execute(query)
        except errors.UndefinedColumn as error:
            reason = str(error.diag.message_primary)
            raise TableMisfitError(_MISFIT.format(table, reason)) from None
        strict = connection.execute(
            _DEMANDS_MORE, [sql.Identifier(schema, table).as_string(), names]
        ).fetchone()
        if strict is not None:
            reason = f'column "{strict[0]}" is NOT NULL and has no default'
            raise TableMisfitError(_MISFIT.format(table, reason))
    for table, column in (
        (mapping.table, mapping.key),
        (mapping.table, mapping.email),
        (mapping.companion, mapping.companion_key),
    ):
        name = sql.Identifier(schema, table).as_string()
        if connection.execute(_IS_UNIQUE, [name, column]).fetchone() is None:
            reason = f'column "{column}" is not unique'
            raise TableMisfitError(_MISFIT.format(table, reason))


def _exists(connection: psycopg.Connection, schema: str) -> bool:
    row = connection.execute(
        "SELECT 1 FROM pg_namespace WHERE nspname = %s", [schema]
    ).fetchone()
    return row is not None


def _is_new(connection: psycopg.Connection, name: str) -> bool:
    return (
        connection.execute(
            "INSERT INTO clerksync_migrations (name) VALUES (%s)"
            " ON CONFLICT DO NOTHING RETURNING name",
            [name],
        ).fetchone()
        is not None
    )
