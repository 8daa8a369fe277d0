"""Which column of the target table gets what: the table as data.

The write path is built from a mapping and knows no column by name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, Literal

from psycopg import sql

from clerksync.clerk_user import CLERK_ID_PATTERN, ClerkUser

ColumnType = Literal["text", "jsonb", "boolean", "timestamp"]
"""What a column is for us; a timestamp comes as Unix milliseconds, as Clerk's do."""


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    source: str
    """The attribute of ClerkUser that fills it."""
    type: ColumnType = "text"
    personal: bool = True
    """Emptied by a soft deletion."""


@dataclass(frozen=True, slots=True)
class TableMapping:
    """The target table. The email is one of the columns; the tier is not."""

    table: str
    key: str
    email: str
    columns: tuple[Column, ...]
    tier: str
    created_at: str
    updated_at: str
    deleted_at: str
    companion: str
    """A table with one row for each user, whose other columns have defaults."""
    companion_key: str

    def reader(self) -> Callable[[ClerkUser], tuple[Any, ...]]:
        """What gives id, version and the columns' values of a user, in their order."""
        sources = [column.source for column in self.columns]
        return attrgetter("id", "updated_at", *sources)


DEFAULT: Final = TableMapping(
    table="users",
    key="id",
    email="email",
    columns=(
        Column("email", "email"),
        Column("first_name", "first_name"),
        Column("last_name", "last_name"),
        Column("name", "name"),
        Column("username", "username"),
        Column("phone_number", "phone_number"),
        Column("image_url", "image_url"),
        Column("public_metadata", "public_metadata", "jsonb"),
        Column("banned", "banned", "boolean", personal=False),
        Column("clerk_created_at", "created_at", "timestamp", personal=False),
    ),
    tier="tier",
    created_at="created_at",
    updated_at="updated_at",
    deleted_at="deleted_at",
    companion="rate_limits",
    companion_key="user_id",
)


@lru_cache
def identifiers(mapping: TableMapping, schema: str) -> dict[str, sql.Composable]:
    """Tables and columns of a mapping, for `sql.SQL.format`. Not to be changed."""
    return {
        "users": sql.Identifier(schema, mapping.table),
        "companion": sql.Identifier(schema, mapping.companion),
        "sync_state": sql.Identifier(schema, "sync_state"),
        "listed": sql.Identifier(schema, "sync_run_listed"),
        "runs": sql.Identifier(schema, "sync_runs"),
        "key": sql.Identifier(mapping.key),
        "email": sql.Identifier(mapping.email),
        "tier": sql.Identifier(mapping.tier),
        "created_at": sql.Identifier(mapping.created_at),
        "updated_at": sql.Identifier(mapping.updated_at),
        "deleted_at": sql.Identifier(mapping.deleted_at),
        "companion_key": sql.Identifier(mapping.companion_key),
        "clerk_id": sql.Literal(f"^{CLERK_ID_PATTERN}$"),
    }
