"""Which table of a database holds the users."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, LiteralString

import psycopg
from psycopg.rows import class_row

from clerksync.errors import ClerksyncError
from clerksync.mapping.file import DEFAULT
from clerksync.schema.not_null_values import plain
from local.map.usual_names import CLERK_ID, EMAIL, SOURCES

# Tables that the role cannot reach are no candidates.
_TABLES: LiteralString = """
    SELECT n.nspname::text AS schema, c.relname::text AS name,
           array_agg(a.attname::text ORDER BY a.attnum) AS columns,
           (SELECT count(*) FROM pg_constraint AS f
            WHERE f.contype = 'f' AND f.confrelid = c.oid)::int AS referenced,
           EXISTS (
               SELECT FROM pg_class AS ours
               WHERE ours.relnamespace = c.relnamespace
                 AND ours.relname = 'clerksync_migrations'
           ) AS beside_ours
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_attribute AS a ON a.attrelid = c.oid
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND a.attnum > 0 AND NOT a.attisdropped
      AND n.nspname !~ '^(pg_|information_schema$)'
      AND has_schema_privilege(n.oid, 'USAGE')
    GROUP BY n.nspname, c.oid
    ORDER BY 1, 2
"""

_NAMES: Final = {
    "users": 50,
    "user": 50,
    "authuser": 45,
    "appusers": 45,
    "appuser": 45,
} | dict.fromkeys(
    (
        *("members", "member", "accounts", "account", "profiles", "profile"),
        *("people", "person", "customers", "customer"),
    ),
    40,
)
_LIKELY: Final = 50
_LEAD: Final = 15
# Supabase's own schema for sign-in, known by its users table.
_AUTH_OF_SUPABASE: Final = frozenset({"instance_id", "aud", "raw_user_meta_data"})
_SCHEMAS_OF_SUPABASE: Final = frozenset(
    {"auth", "storage", "realtime", "vault", "supabase_functions", "graphql"}
)


class NoTableError(ClerksyncError):
    """No table can be chosen; the message lists what could be meant."""


@dataclass(frozen=True, slots=True)
class ListedTable:
    """A table that the role can reach."""

    schema: str
    name: str
    columns: list[str]
    referenced: int
    """How many foreign keys lead to it."""
    beside_ours: bool
    """Whether clerksync's own tables are in the same schema."""

    @property
    def dotted(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def is_our_default(self) -> bool:
        """Whether `migrate` made it, for the default mapping."""
        mapping = DEFAULT
        ours = {*mapping.shown, mapping.deleted_at}
        return (
            self.beside_ours and self.name == mapping.table and ours == {*self.columns}
        )


def find_table(connection: psycopg.Connection, asked_for: str | None) -> ListedTable:
    """Return the table that holds the users, or the one that was asked for.

    `asked_for` is `schema.name`, or a name that only one schema has. Raise NoTableError
    if there is no such table, or if several are as likely.
    """
    with connection.cursor(row_factory=class_row(ListedTable)) as cursor:
        tables = cursor.execute(_TABLES).fetchall()
    closed = _closed_schemas(tables)
    if asked_for is not None:
        return _named(tables, asked_for, closed)
    open_tables = [t for t in tables if t.schema not in closed]
    scored = sorted(
        ((_score(t), t) for t in open_tables if not t.is_our_default),
        key=lambda pair: (-pair[0], pair[1].dotted),
    )
    likely = [(score, t) for score, t in scored if score >= _LIKELY]
    if not likely:
        raise NoTableError(_nothing_found(open_tables))
    best = likely[0][0]
    close = [t for score, t in likely if best - score < _LEAD]
    if len(close) > 1:
        listed = ", ".join(t.dotted for t in close)
        message = (
            f"Several tables could hold the users: {listed}. Name one, as in "
            f"clerksync map --table {close[0].dotted}."
        )
        raise NoTableError(message)
    return close[0]


def _named(
    tables: Sequence[ListedTable], asked_for: str, closed: frozenset[str]
) -> ListedTable:
    meant = [t for t in tables if t.dotted == asked_for] or [
        t for t in tables if t.name == asked_for and t.schema not in closed
    ]
    if not meant:
        likely = [t.dotted for t in tables if t.schema not in closed and _score(t)]
        known = f" Tables with users may be {', '.join(likely)}." if likely else ""
        message = (
            f"There is no table {asked_for} that the role of DATABASE_URL can reach."
            f"{known} Write --table schema.name, in the spelling of the database."
        )
        raise NoTableError(message)
    if len(meant) > 1:
        listed = ", ".join(t.dotted for t in meant)
        raise NoTableError(f"{asked_for} is in several schemas. Name one of {listed}.")
    if meant[0].schema in closed:
        message = (
            f"{meant[0].dotted} belongs to Supabase, and only Supabase may write it. "
            "Name your own table, as in --table public.profiles."
        )
        raise NoTableError(message)
    return meant[0]


def _closed_schemas(tables: Sequence[ListedTable]) -> frozenset[str]:
    """Schemas that belong to the platform."""
    is_supabase = any(
        t.schema == "auth" and {*t.columns} >= _AUTH_OF_SUPABASE for t in tables
    )
    return _SCHEMAS_OF_SUPABASE if is_supabase else frozenset()


def _nothing_found(tables: Sequence[ListedTable]) -> str:
    if ours := next((t for t in tables if t.is_our_default), None):
        return (
            f"{ours.dotted} is clerksync's own table, and no other looks like a users "
            "table. The default mapping needs no file. For another table, write "
            "clerksync map --table schema.name."
        )
    if tables:
        return (
            "No table looks like a users table. Write clerksync map --table "
            "schema.name."
        )
    return (
        "The database has no table that the role of DATABASE_URL can reach. Create "
        "your tables first. Without one of your own, leave CLERKSYNC_MAPPING unset: "
        "clerksync migrate creates users."
    )


def _score(table: ListedTable) -> int:
    """Return how likely a table is; 0 if nothing speaks for it."""
    columns = {plain(name) for name in table.columns}
    name = plain(table.name)
    ends_so = name.endswith(("user", "users"))
    score = _NAMES.get(name, 40 if ends_so else 0)
    if columns & {*EMAIL}:
        score += 30
    elif not score:
        return 0
    if any("clerk" in column for column in columns & {*CLERK_ID}):
        score += 60
    fields = sum(bool(columns & {*names}) for _, _, names in SOURCES)
    return score + 5 * min(fields, 4) + 3 * min(table.referenced, 5)
