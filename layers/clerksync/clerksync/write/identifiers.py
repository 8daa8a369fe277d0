"""Names of tables and columns for composing SQL."""

from functools import lru_cache

from psycopg import sql

from clerksync.clerk.user import CLERK_ID_PATTERN
from clerksync.mapping.table import Companion, TableMapping


@lru_cache
def identifiers(mapping: TableMapping, schema: str) -> dict[str, sql.Composable]:
    """Tables and columns of a mapping, for `sql.SQL.format`. Not to be changed.

    `live` and `created_before_run` are conditions on a row `u` of the target table.
    """
    live: sql.Composable = sql.SQL("true")
    if mapping.deleted_at:
        live = sql.SQL("u.{} IS NULL").format(sql.Identifier(mapping.deleted_at))
    named = {
        "users": sql.Identifier(mapping.schema or schema, mapping.table),
        "sync_state": sql.Identifier(schema, "sync_state"),
        "listed": sql.Identifier(schema, "sync_run_listed"),
        "runs": sql.Identifier(schema, "sync_runs"),
        "key": sql.Identifier(mapping.key),
        "email": sql.Identifier(mapping.email),
        "clerk_id": sql.Literal(f"^{CLERK_ID_PATTERN}$"),
        "live": live,
    }
    optional = {"tier": mapping.tier, "created_at": mapping.created_at}
    return named | {k: sql.Identifier(v) for k, v in optional.items() if v}


def companion_table(
    companion: Companion, mapping: TableMapping, schema: str
) -> sql.Identifier:
    """Our own rate_limits are where our tables are, others beside the target table."""
    if companion.is_rate_limits:
        return sql.Identifier(schema, companion.table)
    return sql.Identifier(mapping.schema or schema, companion.table)
