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
# The ledgers of other schemas, as far as the role may read them.
_LEDGERS: LiteralString = """
    SELECT n.nspname
    FROM pg_class AS t
    JOIN pg_namespace AS n ON n.oid = t.relnamespace
    WHERE t.relname = 'clerksync_migrations' AND t.relkind = 'r' AND n.nspname <> %s
      AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(t.oid, 'SELECT')
    ORDER BY 1
"""
_MARK: Final = "moved from {}"
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
_MOVED: Final = (
    "clerksync's tables were moved from the schema {schema} to the schema {now}. Set "
    "CLERKSYNC_SCHEMA={now} (the parameter Schema of the stack). To begin an empty "
    "installation in {schema} all the same, first run: DELETE FROM {ledger} WHERE name "
    "= {mark};"
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


def check_not_moved(connection: psycopg.Connection, schema: str) -> None:
    """Raise TablesElsewhereError if clerksync's tables were in the schema until they
    were moved: a setting still has the old name."""
    if is_installed(connection, schema):
        return
    mark = _MARK.format(schema)
    for (now,) in connection.execute(_LEDGERS, [schema]).fetchall():
        ledger = sql.Identifier(now, "clerksync_migrations")
        query = sql.SQL("SELECT FROM {} WHERE name = %s").format(ledger)
        if connection.execute(query, [mark]).rowcount:
            message = _MOVED.format(
                schema=schema,
                now=now,
                ledger=ledger.as_string(connection),
                mark=sql.Literal(mark).as_string(connection),
            )
            raise TablesElsewhereError(message)


def mark_as_moved(connection: psycopg.Connection, source: str, to: str) -> None:
    """Note in the ledger, which is in the schema `to` by now, where it was before."""
    ledger = sql.Identifier(to, "clerksync_migrations")
    for statement, schema in (
        ("DELETE FROM {} WHERE name = %s", to),
        ("INSERT INTO {} (name) VALUES (%s) ON CONFLICT DO NOTHING", source),
    ):
        connection.execute(sql.SQL(statement).format(ledger), [_MARK.format(schema)])


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
