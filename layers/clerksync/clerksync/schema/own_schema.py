"""The schema of clerksync's own tables: created, and found where it was before."""

from typing import Final, LiteralString

import psycopg
from psycopg import sql

from clerksync.errors import LacksRightError, TablesElsewhereError

# The catalog shows schemas that the role may not use, too.
_INSTALLED: LiteralString = """
    SELECT count(*) = 2
    FROM pg_class AS t
    JOIN pg_namespace AS n ON n.oid = t.relnamespace
    WHERE n.nspname = %s AND t.relkind = 'r'
      AND t.relname IN ('clerksync_migrations', 'sync_state')
"""
_SCHEMA: LiteralString = """
    SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = %s),
           has_database_privilege(current_database(), 'CREATE'),
           quote_ident(current_database())
"""
_CANNOT_CREATE: Final = (
    "The role of DATABASE_URL lacks a right: permission denied for database {database},"
    " to create the schema {schema}. As the owner of the database, run: CREATE SCHEMA "
    "{schema} AUTHORIZATION …; with the name of that role in place of the dots. Or set "
    "CLERKSYNC_SCHEMA to a schema where the role has USAGE and CREATE."
)
_ELSEWHERE: Final = (
    "clerksync's tables are in the schema {earlier}. With a mapping, and without "
    "CLERKSYNC_SCHEMA, they belong in the schema {schema}. To keep them where they "
    "are, set CLERKSYNC_SCHEMA={earlier} (the parameter Schema of the stack). To move "
    "them, run: clerksync migrate --move-to {schema}. If they belong to a different "
    "installation, set CLERKSYNC_SCHEMA={schema}."
)


def is_installed(connection: psycopg.Connection, schema: str) -> bool:
    """Whether clerksync's own tables are in the schema."""
    row = connection.execute(_INSTALLED, [schema]).fetchone()
    return row is not None and bool(row[0])


def is_elsewhere(connection: psycopg.Connection, schema: str, earlier: str) -> bool:
    """Whether clerksync's tables are in the schema `earlier`, and not in `schema`."""
    return is_installed(connection, earlier) and not is_installed(connection, schema)


def explain_elsewhere(schema: str, earlier: str) -> str:
    """Return what to do about it."""
    return _ELSEWHERE.format(schema=schema, earlier=earlier)


def check_place(connection: psycopg.Connection, schema: str, earlier: str) -> None:
    """Raise TablesElsewhereError if clerksync's tables are only in `earlier`."""
    if is_elsewhere(connection, schema, earlier):
        raise TablesElsewhereError(explain_elsewhere(schema, earlier))


def create_schema(connection: psycopg.Connection, schema: str) -> None:
    """Create the schema if it is missing. Raise LacksRightError if the role cannot."""
    name = sql.Identifier(schema)
    found = connection.execute(_SCHEMA, [schema]).fetchone()
    exists, may_create, database = found or (False, True, "")
    # Creating a schema that exists would still demand the privilege.
    if exists:
        return
    if not may_create:
        quoted = name.as_string(connection)
        raise LacksRightError(_CANNOT_CREATE.format(schema=quoted, database=database))
    connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
