"""Looks at the tables from outside the code under test."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

SYNCED_TABLES = ("users", "rate_limits", "sync_state")


def rows(
    connection: psycopg.Connection, table: str = "users"
) -> dict[Any, dict[str, Any]]:
    """All rows by their key, which is the first column."""
    with connection.cursor(row_factory=dict_row) as cursor:
        cursor.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table)))
        return {next(iter(row.values())): row for row in cursor}


def emails(connection: psycopg.Connection) -> dict[str, str | None]:
    return {key: row["email"] for key, row in rows(connection).items()}


def footprint(connection: psycopg.Connection, *tables: str) -> list[tuple[Any, ...]]:
    """Where each row lies and which transactions wrote or locked it last.

    Any write or row lock changes it.
    """
    found: list[tuple[Any, ...]] = []
    for table in tables or SYNCED_TABLES:
        query = sql.SQL("SELECT %s, ctid::text, xmin::text, xmax::text FROM {}")
        found += connection.execute(
            query.format(sql.Identifier(table)), [table]
        ).fetchall()
    return sorted(found)


@contextmanager
def locked(database_url: str) -> Iterator[None]:
    """Somebody else has the users, and is in no hurry."""
    with psycopg.connect(database_url) as other:
        other.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        yield


def belongs_to(connection: psycopg.Connection, instance_id: str) -> None:
    """Note in the ledger what a first run does, or one that is forced."""
    connection.execute(
        "INSERT INTO sync_runs (mode, dry_run, status, instance_id)"
        " VALUES ('full', false, 'completed', %s)",
        [instance_id],
    )
