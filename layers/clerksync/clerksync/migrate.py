"""Bring the database schema up to this code: tables, then the write path."""

from collections.abc import Iterator
from importlib import resources

import psycopg
from psycopg import sql

from clerksync import table_mapping
from clerksync.database import Database
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
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(name))
            connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(name))
            connection.execute(_LEDGER)
            return [
                *_apply_tables(connection),
                *_install_write_path(connection, schema, mapping),
            ]

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


def _is_new(connection: psycopg.Connection, name: str) -> bool:
    return (
        connection.execute(
            "INSERT INTO clerksync_migrations (name) VALUES (%s)"
            " ON CONFLICT DO NOTHING RETURNING name",
            [name],
        ).fetchone()
        is not None
    )
