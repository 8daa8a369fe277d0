"""Who may use the tables that a migration makes: only those whom the owner lets.

ALTER DEFAULT PRIVILEGES may grant rights on every new table to roles that strangers
have, as Supabase does for `anon` and `authenticated` in `public`.
"""

from typing import Final, LiteralString

import psycopg
from psycopg import sql

OPEN_ROLES: Final = ("anon", "authenticated")
"""Roles of PostgREST, behind which is whoever has the address; besides PUBLIC."""
REVOKED: Final = "revoked:"
"""How a line begins that reports a revocation."""

_OURS: Final = (
    "clerksync_migrations",
    "rate_limits",
    "sync_run_listed",
    "sync_runs",
    "sync_state",
    "tiers",
    "users",
)
_THERE: LiteralString = """
    SELECT relname FROM pg_class
    WHERE relname = ANY (%s)
      AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %s)
"""
_GRANTED: LiteralString = """
    SELECT DISTINCT coalesce(r.rolname, 'PUBLIC')
    FROM pg_class AS t
    CROSS JOIN LATERAL aclexplode(t.relacl) AS a
    LEFT JOIN pg_roles AS r ON r.oid = a.grantee
    WHERE t.relname = ANY (%s)
      AND t.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = %s)
      AND a.grantee <> t.relowner
      AND (a.grantee = 0 OR r.rolname = ANY (%s))
    ORDER BY 1
"""


def tables_there(connection: psycopg.Connection, schema: str) -> set[str]:
    """Return which names of clerksync's tables are taken in the schema."""
    found = connection.execute(_THERE, [list(_OURS), schema])
    return {name for (name,) in found}


def close_new_tables(
    connection: psycopg.Connection, schema: str, there_before: set[str]
) -> list[str]:
    """Revoke what default privileges grant to PUBLIC and to PostgREST's roles on the
    tables that this migration has made. Return a line that says so, if any.

    Tables that were there before keep their grants: those are the owner's.
    """
    new = sorted(tables_there(connection, schema) - there_before)
    granted = connection.execute(_GRANTED, [new, schema, list(OPEN_ROLES)])
    roles = [name for (name,) in granted]
    if not roles:
        return []
    connection.execute(
        sql.SQL("REVOKE ALL ON {tables} FROM {roles}").format(
            tables=sql.SQL(", ").join(sql.Identifier(schema, name) for name in new),
            roles=sql.SQL(", ").join(map(_role, roles)),
        )
    )
    return [f"{REVOKED} ALL ON {', '.join(new)} FROM {', '.join(roles)}"]


def _role(name: str) -> sql.Composable:
    return sql.SQL("PUBLIC") if name == "PUBLIC" else sql.Identifier(name)
