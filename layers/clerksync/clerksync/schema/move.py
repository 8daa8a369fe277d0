"""Move clerksync's own tables to another schema, in one transaction."""

from collections.abc import Iterator
from typing import Final, LiteralString

import psycopg
from psycopg import errors, sql

from clerksync.errors import TablesElsewhereError
from clerksync.mapping.file import DEFAULT
from clerksync.postgres.database import Database
from clerksync.schema.migrate import LOCK, Begin, bring_up, lacking_rights_told
from clerksync.schema.new_tables import OPEN_ROLES, tables_there
from clerksync.schema.own_schema import create_schema, is_installed, mark_as_moved
from clerksync.settings.environment import Settings
from clerksync.settings.schemas import placed, target_schema
from clerksync.write.rate_limits import FUNCTION

MOVED: Final = "moved "
"""How a line begins that reports a table or function that was moved."""

_TABLES: Final = ("clerksync_migrations", "sync_state", "sync_runs", "sync_run_listed")
_OF_RATE_LIMITS: Final = ("rate_limits", "tiers")
# Whoever waits for a table keeps all others waiting that come after.
_PATIENCE: LiteralString = "SET LOCAL lock_timeout = '5s'"
_FUNCTIONS: LiteralString = """
    SELECT p.oid::regprocedure::text, p.proname = %(kept)s
    FROM pg_proc AS p
    JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE n.nspname = %(schema)s
      AND (p.proname = %(kept)s OR p.proname = ANY (%(names)s))
    ORDER BY 1
"""
# Grants move with a table, and are worth nothing without USAGE on its schema.
_GRANTEES: LiteralString = """
    SELECT DISTINCT r.rolname
    FROM pg_class AS t
    CROSS JOIN LATERAL aclexplode(t.relacl) AS a
    JOIN pg_roles AS r ON r.oid = a.grantee
    JOIN pg_namespace AS n ON n.oid = t.relnamespace
    WHERE n.nspname = %s AND t.relname = ANY (%s) AND a.grantee <> t.relowner
      AND r.rolname <> ALL (%s)
    ORDER BY 1
"""
_DEFAULT_STAYS: Final = (
    "With the default mapping, the application's own statements name the tables, so "
    "they stay where they are. To keep users in a table of the application, and "
    "clerksync's tables in a schema of their own, set CLERKSYNC_MAPPING first."
)
_NOTHING: Final = (
    "There are no tables of clerksync in the schema {source}: nothing was moved. If "
    "they are in a different schema, set CLERKSYNC_SCHEMA to it and run the command "
    "again. If there are none anywhere, run: clerksync migrate"
)
_BOTH: Final = (
    "There are tables of clerksync in the schema {source} and in the schema {to}. "
    "Nothing was moved. Drop the tables that no installation uses; doctor shows which "
    "schema this one uses."
)
_SAY_SCHEMA: Final = (
    "The table {table} is in the schema {now}. After the move, the mapping would look "
    "for it in the schema {then}. Nothing was moved. Add this line under [table] of "
    'the mapping, and run the command again: schema = "{now}"'
)
_NAME_TAKEN: Final = (
    "The schema {to} has a table or function of the same name as one of clerksync's. "
    "Nothing was moved. Rename it there, or move to a different schema."
)


def move(
    database: Database, settings: Settings, *, to: str, begin: Begin | None = None
) -> list[str]:
    """Move the tables of this installation and create the functions again, all or
    nothing; return what was done, or an empty list if the tables are already there.

    The application's tables stay. The buckets and tiers of rate limits move if the
    mapping has rate limits. Code that still has the old setting fails from now on, with
    SchemaOutdatedError. `begin` is called first in the transaction. Raises
    TablesElsewhereError, LacksRightError, TableMisfitError, and LockNotAvailable.
    """
    described = settings.described_mapping
    if described == DEFAULT:
        raise TablesElsewhereError(_DEFAULT_STAYS)
    mapping = placed(described, to).with_deletion(soft=settings.soft_delete)

    def work(connection: psycopg.Connection) -> list[str]:
        with lacking_rights_told(to), connection.transaction():
            connection.execute(_PATIENCE)
            if begin is not None:
                begin(connection)
            connection.execute(LOCK)
            source = _source(connection, settings, to)
            if source is None:
                return []
            _check_target(settings, source, to)
            create_schema(connection, to)
            done = [*_move_tables(connection, source, to, limits=mapping.rate_limits)]
            mark_as_moved(connection, source, to)
            done += _move_functions(connection, source, to, limits=mapping.rate_limits)
            return done + bring_up(connection, to, mapping, settings.default_tier)

    try:
        return database.run(work)
    except (errors.DuplicateTable, errors.DuplicateFunction) as error:
        raise TablesElsewhereError(_NAME_TAKEN.format(to=to)) from error


def _source(connection: psycopg.Connection, settings: Settings, to: str) -> str | None:
    """Where the tables are; None if they are only where they should be."""
    candidates = [settings.schema, settings.earlier_schema]
    sources = [s for s in candidates if s not in {None, to}]
    source = next((s for s in sources if s and is_installed(connection, s)), None)
    if is_installed(connection, to):
        if source is not None:
            raise TablesElsewhereError(_BOTH.format(source=source, to=to))
    elif source is None:
        raise TablesElsewhereError(_NOTHING.format(source=settings.schema))
    return source


def _check_target(settings: Settings, source: str, to: str) -> None:
    """The mapping must lead to the same table before and after."""
    described = settings.described_mapping
    now = settings.mapping.schema or source
    then = target_schema(described, to)
    if now != then:
        message = _SAY_SCHEMA.format(table=described.table, now=now, then=then)
        raise TablesElsewhereError(message)


def _move_tables(
    connection: psycopg.Connection, source: str, to: str, *, limits: bool
) -> Iterator[str]:
    schema = sql.Identifier(to)
    wanted = (*_TABLES, *(_OF_RATE_LIMITS if limits else ()))
    parameters = [source, list(wanted), list(OPEN_ROLES)]
    grantees = connection.execute(_GRANTEES, parameters).fetchall()
    there = tables_there(connection, source)
    for name in [name for name in wanted if name in there]:
        statement = sql.SQL("ALTER TABLE {} SET SCHEMA {}")
        connection.execute(statement.format(sql.Identifier(source, name), schema))
        yield f"{MOVED}{name}"
    for (role,) in grantees:
        grant = sql.SQL("GRANT USAGE ON SCHEMA {} TO {}")
        connection.execute(grant.format(schema, sql.Identifier(role)))


def _move_functions(
    connection: psycopg.Connection, source: str, to: str, *, limits: bool
) -> Iterator[str]:
    """The write path is created again under other names. `consume_rate_limit` keeps
    its name, and what depends on it follows."""
    ledger = sql.Identifier(to, "clerksync_migrations")
    forget = sql.SQL(
        "DELETE FROM {} WHERE name NOT LIKE '%.sql' AND name NOT LIKE 'moved from %'"
        " RETURNING name"
    )
    names = [name for (name,) in connection.execute(forget.format(ledger))]
    parameters = {"schema": source, "names": names, "kept": FUNCTION if limits else ""}
    for signature, kept in connection.execute(_FUNCTIONS, parameters).fetchall():
        function = sql.SQL(signature)
        if kept:
            statement = sql.SQL("ALTER FUNCTION {} SET SCHEMA {}")
            connection.execute(statement.format(function, sql.Identifier(to)))
            yield f"{MOVED}{FUNCTION}"
        else:
            connection.execute(sql.SQL("DROP FUNCTION {}").format(function))
