"""Which column of the target table gets what: the table as data.

The write path is built from a mapping and knows no column by name. `mapping_file` reads
mappings from TOML; the default schema is one of them.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from math import isfinite
from operator import attrgetter
from typing import Any, Final, Literal

from psycopg import sql
from pydantic import create_model

from clerksync.clerk.user import (
    CLERK_ID_PATTERN,
    FURTHER_FIELDS,
    YEAR_10000,
    ClerkUser,
)

ColumnType = Literal[
    "text", "jsonb", "boolean", "timestamp", "integer", "bigint", "numeric"
]
"""What a column is for us; a timestamp comes as Unix milliseconds, as Clerk's do."""
Generated = Literal["cuid", "uuid4", "uuid7", "database"]
"""Who makes a table's own id; `database` is a default or a sequence of its own."""
Constant = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    source: str
    """The attribute of ClerkUser that fills it, or a path into its metadata."""
    type: ColumnType = "text"
    personal: bool = True
    """Emptied by a soft deletion."""
    otherwise: Constant | None = None
    """Written where Clerk has nothing."""


@dataclass(frozen=True, slots=True)
class OwnId:
    """A key that the table has besides the Clerk id."""

    column: str
    generated: Generated


@dataclass(frozen=True, slots=True)
class Companion:
    """A table with a row for each user, made with the user."""

    table: str
    key: str
    references: str
    """The column of the target table that `key` holds."""
    values: Mapping[str, Constant] = field(default_factory=dict, hash=False)
    own_id: OwnId | None = None
    is_rate_limits: bool = False
    """Ours: one row a user, which goes with a soft deletion too."""
    created_at: str | None = None
    updated_at: str | None = None
    """Both are set when the row is made, and are the application's from then on."""


@dataclass(frozen=True)
class TableMapping:
    """The target table. What an application's table lacks is None."""

    table: str
    key: str
    """The column that holds the Clerk id."""
    columns: tuple[Column, ...]
    schema: str | None = None
    """Where the table is; None: where clerksync's own are."""
    own_id: OwnId | None = None
    tier: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    deleted_at: str | None = None
    deletion: Literal["hard", "soft"] = field(default="hard", compare=False)
    """How; a table is what it is either way."""
    email_unique: bool = True
    email_not_null: bool = False
    defaults: Mapping[str, Constant] = field(default_factory=dict, hash=False)
    """Constants that a new row begins with; never written again."""
    companions: tuple[Companion, ...] = ()
    name: str = "mapping"
    """How to tell a person which mapping this is."""
    lines: Mapping[tuple[str, str | None], int] = field(
        default_factory=dict, compare=False, hash=False
    )
    """Where in its file a table (with None) or one of its columns is named."""

    @cached_property
    def email(self) -> str:
        """The column that holds the primary email address."""
        return next(c.name for c in self.columns if c.source == "email")

    @property
    def rate_limits(self) -> bool:
        """Whether each user has a token bucket in our own `rate_limits`."""
        return any(companion.is_rate_limits for companion in self.companions)

    @cached_property
    def shown(self) -> list[str]:
        """The columns that tell what sync knows of a user."""
        own_id = [self.own_id.column] if self.own_id else []
        kept = (self.tier, self.created_at, self.updated_at)
        names = [self.key, *own_id, *(column.name for column in self.columns)]
        return [*names, *(name for name in kept if name)]

    @cached_property
    def user_model(self) -> type[ClerkUser]:
        """What to read of Clerk's users: no more than the columns need."""
        roots = {column.source.partition(".")[0] for column in self.columns}
        further: dict[str, Any] = {
            name: (FURTHER_FIELDS[name], None)
            for name in sorted(roots & FURTHER_FIELDS.keys())
        }
        if not further:
            return ClerkUser
        return create_model("MappedClerkUser", __base__=ClerkUser, **further)

    def with_deletion(self, *, soft: bool) -> "TableMapping":
        """The same table, whose users are deleted that way."""
        if soft == (self.deletion == "soft"):
            return self
        return _with_deletion(self, "soft" if soft else "hard")

    def line_of(self, table: str, column: str | None) -> int:
        """Where its file names a column, or else the table."""
        return self.lines.get((table, column), self.lines.get((table, None), 1))

    def reader(self) -> Callable[[ClerkUser], tuple[Any, ...]]:
        """What gives id, version and the columns' values of a user, in their order.

        Raises AttributeError for a user of another model than `user_model`.
        """
        sources = [column.source for column in self.columns]
        if not any("." in source for source in sources):
            return attrgetter("id", "updated_at", *sources)
        read: list[Callable[[ClerkUser], Any]] = [attrgetter("id")]
        read += [attrgetter("updated_at"), *map(_getter, self.columns)]
        return lambda user: tuple([get(user) for get in read])


@lru_cache
def _with_deletion(
    mapping: TableMapping, deletion: Literal["hard", "soft"]
) -> TableMapping:
    """Kept, because a mapping keeps what it has once made."""
    return replace(mapping, deletion=deletion)


def _getter(column: Column) -> Callable[[ClerkUser], Any]:
    root, *path = column.source.split(".")
    if not path:
        return attrgetter(root)
    return partial(_at_path, root=root, path=path, convert=_CONVERTED[column.type])


def _at_path(
    user: ClerkUser, *, root: str, path: list[str], convert: Callable[[Any], Any]
) -> Any:
    value = getattr(user, root)
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return None if value is None else convert(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _number(value: Any) -> int | float | None:
    try:
        is_number = type(value) in {int, float} and isfinite(value)
    except OverflowError:  # more than a double holds
        return None
    return value if is_number else None


def _integer_in(numbers: range) -> Callable[[Any], int | None]:
    return lambda value: value if type(value) is int and value in numbers else None


# Metadata is anything: what does not fit its column is left out, not an error.
_CONVERTED: Final[dict[ColumnType, Callable[[Any], Any]]] = {
    "text": _text,
    "boolean": _boolean,
    "numeric": _number,
    "integer": _integer_in(range(-(2**31), 2**31)),
    "bigint": _integer_in(range(-(2**63), 2**63)),
    "timestamp": _integer_in(range(YEAR_10000)),
    "jsonb": lambda value: value,
}


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
