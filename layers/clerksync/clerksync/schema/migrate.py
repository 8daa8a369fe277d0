"""Bring the database schema up to this code: tables, then the write path."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from typing import Final, LiteralString

import psycopg
from psycopg import errors, sql

from clerksync.errors import LacksRightError, TableMisfitError
from clerksync.mapping.file import DEFAULT
from clerksync.mapping.table import TableMapping
from clerksync.postgres.database import Database
from clerksync.schema import rate_limit_sql
from clerksync.schema.catalog import source_of
from clerksync.schema.email_fit import email_rule
from clerksync.schema.length_fit import WARNING, short_columns
from clerksync.schema.new_tables import close_new_tables, tables_there
from clerksync.schema.own_schema import check_not_moved, check_place, create_schema
from clerksync.schema.table_fit import (
    Misfit,
    default_tier_misfits,
    misfits,
    target_misfits,
)
from clerksync.write.identifiers import identifiers
from clerksync.write.sql_functions import functions_for

_SCRIPTS: Final = resources.files("clerksync.schema") / "migrations"
Begin = Callable[[psycopg.Connection], None]
TARGET_TABLE: Final = "default.sql"
"""Makes the default target table; for others, the application has made it."""

# Two migrations at once: the second waits, then finds nothing to do. The number is
# arbitrary and only has to stay the same.
LOCK: Final = "SELECT pg_advisory_xact_lock(7236410598)"
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

# What Postgres says of a lacking right names tables and schemas, and no data.
_LACKS_RIGHT = (
    "The role of DATABASE_URL lacks a right: {said}. Grant it USAGE and CREATE on the "
    "schema {schema}; USAGE and REFERENCES where the users are, if that table was "
    "there before. Or migrate as the role that owns what is there."
)
_OWN_MISFIT = (
    "{} Mend the table, or name another schema in CLERKSYNC_SCHEMA, or describe the "
    "table in a mapping (CLERKSYNC_MAPPING)."
)
_MISFIT = "Mapping {} and the tables do not fit together. {} Mend one or the other."

# Ours, beside whichever table holds the users. tokens is NULL while nothing was taken.
_RATE_LIMITS: LiteralString = """
    CREATE TABLE IF NOT EXISTS rate_limits (
        user_id     text PRIMARY KEY REFERENCES {users} ({key}) ON DELETE CASCADE,
        tokens      double precision,
        refilled_at timestamptz NOT NULL DEFAULT now()
    )
"""


def migrate(
    database: Database,
    *,
    schema: str = "public",
    mapping: TableMapping = DEFAULT,
    default_tier: str = "FREE",
    earlier_schema: str | None = None,
    at_most: float | None = None,
    begin: Begin | None = None,
) -> list[str]:
    """Apply what is missing, all or nothing; returns the names of what was applied.

    If clerksync's tables are not in `schema`, but in `earlier_schema`, raises
    TablesElsewhereError: a second set of tables would forget every tombstone. The same
    if the tables were moved from `schema` to a different one.

    Nobody but the owner may use a new table: a grant by ALTER DEFAULT PRIVILEGES to
    PUBLIC or to PostgREST's roles is revoked, and a line beginning with `REVOKED` says
    so. Then comes a line beginning with `WARNING` for each column that is so short that
    it may refuse what Clerk has.

    `default_tier` is that of users whom `consume_rate_limit` does not know.

    With `at_most`, in seconds, no statement lasts longer, and the database gives up
    on a client that has fallen silent for as long. A lock is waited for half of it, or
    20 seconds. `begin` is called first in the transaction, and may say otherwise.

    Raises TableMisfitError, or LacksRightError where the role may not do it.
    """

    def work(connection: psycopg.Connection) -> list[str]:
        with lacking_rights_told(schema), connection.transaction():
            if at_most is not None:
                connection.execute(_PATIENCE, {"ms": round(at_most * 1000)})
            if begin is not None:
                begin(connection)
            connection.execute(LOCK)
            check_not_moved(connection, schema)
            if earlier_schema is not None:
                check_place(connection, schema, earlier_schema)
            return bring_up(connection, schema, mapping, default_tier)

    return database.run(work)


def bring_up(
    connection: psycopg.Connection,
    schema: str,
    mapping: TableMapping,
    default_tier: str,
) -> list[str]:
    """The same in a transaction of the caller's, who holds LOCK."""
    create_schema(connection, schema)
    there_before = tables_there(connection, schema)
    path = sql.SQL("SET LOCAL search_path TO {}").format(sql.Identifier(schema))
    connection.execute(path)
    connection.execute(_LEDGER)
    applied = [*_apply_scripts(connection, mapping)]
    _check(target_misfits(connection, mapping, schema), mapping)
    if mapping.rate_limits:
        names = identifiers(mapping, schema)
        connection.execute(sql.SQL(_RATE_LIMITS).format(**names))
    found = misfits(connection, mapping, schema)
    found += default_tier_misfits(mapping, default_tier)
    if mapping.rate_limits:
        found += rate_limit_sql.misfits(connection, schema)
    _check(found, mapping)
    applied += _install_write_path(connection, schema, mapping)
    if mapping.rate_limits:
        applied += rate_limit_sql.install(connection, mapping, schema, default_tier)
    applied += close_new_tables(connection, schema, there_before)
    short = short_columns(connection, mapping, schema)
    return applied + [f"{WARNING} {line}" for line in short]


@contextmanager
def lacking_rights_told(schema: str) -> Iterator[None]:
    """Raise LacksRightError if Postgres says so."""
    try:
        yield
    except errors.InsufficientPrivilege as error:
        said = error.diag.message_primary or "permission denied"
        raise LacksRightError(_LACKS_RIGHT.format(said=said, schema=schema)) from error
    except errors.InvalidSchemaName as error:
        # Without USAGE on it, a search path leads nowhere.
        said = f"permission denied for schema {schema}"
        raise LacksRightError(_LACKS_RIGHT.format(said=said, schema=schema)) from error


def all_scripts() -> list[str]:
    """The scripts of every mapping, in the order in which they are applied."""
    names = (entry.name for entry in _SCRIPTS.iterdir())
    return sorted(name for name in names if name.endswith(".sql"))


def scripts_of(mapping: TableMapping) -> list[str]:
    """The scripts that this mapping needs, in the order in which they are applied: our
    own tables, then the target table if it is the default one."""
    left_out = set() if mapping == DEFAULT else {TARGET_TABLE}
    if not mapping.rate_limits:
        left_out.add(rate_limit_sql.SCRIPT)
    return [name for name in all_scripts() if name not in left_out]


def _apply_scripts(
    connection: psycopg.Connection, mapping: TableMapping
) -> Iterator[str]:
    for name in scripts_of(mapping):
        if _is_new(connection, name):
            connection.execute((_SCRIPTS / name).read_text("utf-8").encode())
            yield name


def _install_write_path(
    connection: psycopg.Connection, schema: str, mapping: TableMapping
) -> Iterator[str]:
    """Functions of earlier versions stay: code that is still running calls them."""
    rule = email_rule(connection, mapping, schema)
    for function in functions_for(mapping, schema, rule):
        is_new = _is_new(connection, function.name)
        # The table's rule for emails may be a different one by now.
        if is_new or source_of(connection, schema, function.name) != function.source:
            connection.execute(function.definition)
            yield function.name


def _check(found: Sequence[Misfit], mapping: TableMapping) -> None:
    """Tables that were there before must be such that the write path can use them."""
    if not found:
        return
    if mapping == DEFAULT:
        said = " ".join(
            f'The table "{misfit.table}" is there and does not fit: {misfit.reason}.'
            for misfit in found
        )
        raise TableMisfitError(_OWN_MISFIT.format(said))
    said = " ".join(
        f"Line {mapping.line_of(misfit.table, misfit.column)}: {misfit.table}: "
        f"{misfit.reason}."
        for misfit in found
    )
    raise TableMisfitError(_MISFIT.format(mapping.name, said))


def _is_new(connection: psycopg.Connection, name: str) -> bool:
    return (
        connection.execute(
            "INSERT INTO clerksync_migrations (name) VALUES (%s)"
            " ON CONFLICT DO NOTHING RETURNING name",
            [name],
        ).fetchone()
        is not None
    )
