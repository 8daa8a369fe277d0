"""Which column of the target table gets what: the table as data.

The write path is built from a mapping and knows no column by name. `file` reads
mappings from TOML; the default schema is one of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any, Literal, NamedTuple

from pydantic import create_model

from clerksync.clerk.needed_fields import ALWAYS, fields_of
from clerksync.clerk.user import FURTHER_FIELDS, ClerkUser

ColumnType = Literal[
    "text", "jsonb", "boolean", "timestamp", "integer", "bigint", "numeric"
]
"""What a column is for us; a timestamp comes as Unix milliseconds, as Clerk's do."""
Generated = Literal["cuid", "uuid4", "uuid7", "database"]
"""Who makes a table's own id; `database` is a default or a sequence of its own."""
Deletion = Literal["hard", "soft", "trigger"]
Constant = str | int | float | bool
Values = tuple[tuple[str, str], ...]
"""A text of Clerk's and the text to write for it; `*` is any other text."""


class Column(NamedTuple):
    """What one column of the target table gets."""

    name: str
    source: str
    """The attribute of ClerkUser that fills it, or a path into its metadata. With
    `not ` before it, the opposite; `clerk_id` is the user's ID."""
    type: ColumnType = "text"
    personal: bool = True
    """Emptied by a soft deletion."""
    otherwise: Constant | None = None
    """Written where Clerk has nothing."""
    values: Values = ()
    """What to write for each value of Clerk's, if not the value itself."""
    truncate: int | None = None
    """The number of characters after which a text is cut off."""


class OwnId(NamedTuple):
    """A key that the table has besides the Clerk id."""

    column: str
    generated: Generated


@dataclass(frozen=True)
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
    schema_is_default: bool = field(default=False, compare=False)
    """Whether its file does not name that schema."""
    own_id: OwnId | None = None
    tier: str | None = None
    tier_values: Values = ()
    created_at: str | None = None
    updated_at: str | None = None
    deleted_at: str | None = None
    deletion: Deletion = field(default="hard", compare=False)
    """How; a table is what it is either way. `trigger`: the application has a trigger
    or rule that keeps a deleted row and sets `deleted_at`."""
    email_unique: bool = True
    email_not_null: bool = False
    email_column: str | None = None
    """The one of several email columns that no two users may share; None: the first."""
    deleted_email: str | None = None
    """What a soft deletion writes in place of an email, with `{clerk_id}` in it."""
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
        """The column that holds the primary email address. If there are more, they
        have Clerk's email even while this one is reassigned."""
        if self.email_column is not None:
            return self.email_column
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
        return _user_model(frozenset(column.source for column in self.columns))

    @cached_property
    def user_model_with_tier(self) -> type[ClerkUser]:
        """The same if a metadata key decides the tier."""
        sources = {column.source for column in self.columns}
        return _user_model(frozenset(sources | {"public_metadata"}))

    def with_deletion(self, *, soft: bool) -> "TableMapping":
        """The same table, whose users are deleted that way."""
        if soft == (self.deletion == "soft"):
            return self
        return _with_deletion(self, "soft" if soft else "hard")

    def line_of(self, table: str, column: str | None) -> int:
        """Where its file names a column, or else the table."""
        return self.lines.get((table, column), self.lines.get((table, None), 1))


@lru_cache
def _user_model(sources: frozenset[str]) -> type[ClerkUser]:
    needed = ALWAYS.union(*map(fields_of, sources))
    if needed == ClerkUser.needed:
        return ClerkUser
    further: dict[str, Any] = {
        name: (FURTHER_FIELDS[name], None)
        for name in sorted(needed & FURTHER_FIELDS.keys())
    }
    model = create_model("MappedClerkUser", __base__=ClerkUser, **further)
    model.needed = needed
    return model


@lru_cache
def _with_deletion(mapping: TableMapping, deletion: Deletion) -> TableMapping:
    """Kept, because a mapping keeps what it has once made."""
    return replace(mapping, deletion=deletion)
