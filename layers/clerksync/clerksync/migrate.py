"""Bring the database schema up to this code: tables, then the write path."""

from collections.abc import Iterator
from importlib import resources

import psycopg
from psycopg import errors, sql

from clerksync import table_mapping
from clerksync.database import Database
from clerksync.errors import SchemaOutdatedError
from clerksync.table_mapping import TableMapping
from clerksync.write_path import build

# Two migrations at once: the second waits, then finds nothing to do. The number is
# arbitrary and only has to stay the same.
_LOCK = "SELECT pg_advisory_xact_lock(7236410598)"
_LEDGER = """
    CREATE TABLE IF NOT EXISTS clerksync_migrations (
        name       text PRIMARY KEY,
        applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )
"""


def migrate(
    database: Database,
    *,
    schema: str = "public",
    mapping: TableMapping = table_mapping.DEFAULT,
) -> list[str]:
    """Apply what is missing, all or nothing; returns the names of what was applied."""

    def work(connection: psycopg.Connection) -> list[str]:
        with connection.transaction():
            connection.execute(_LOCK)
            name = sql.Identifier(schema)
            # Creating one that exists still demands the right to create schemas.
            if not _exists(connection, schema):
                connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
            connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(name))
            connection.execute(_LEDGER)
            applied = [*_apply_tables(connection)]
            _check_columns(connection, schema, mapping)
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


def _check_columns(
    connection: psycopg.Connection, schema: str, mapping: TableMapping
) -> None:
    """A users table that was there before must have the columns that sync fills."""
    columns = [mapping.key, *(column.name for column in mapping.columns)]
    columns += [mapping.tier, mapping.created_at, mapping.updated_at]
    query = sql.SQL("SELECT {} FROM {} LIMIT 0").format(
        sql.SQL(", ").join(map(sql.Identifier, [*columns, mapping.deleted_at])),
        sql.Identifier(schema, mapping.table),
    )
    try:
        connection.execute(query)
    except errors.UndefinedColumn as error:
        message = (
            f'The table "{mapping.table}" is there and does not fit: '
            f"{error.diag.message_primary}. Add the column, or name another schema in "
            "CLERKSYNC_SCHEMA."
        )
        raise SchemaOutdatedError(message) from None


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
