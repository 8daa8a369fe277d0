"""Guess which column holds the Clerk ID, and who makes the table's own ID."""

from typing import Final

from psycopg import sql

from clerksync.schema.column_fit import ID_LENGTH
from clerksync.schema.not_null_values import TEXTS, plain
from local.map.catalog import MapColumn, MapTable
from local.map.draft import Draft
from local.map.new_column import how_to_add
from local.map.usual_names import CLERK_ID
from local.progress import counted

_MAKES_CUIDS: Final = frozenset({"Prisma"})
NEW_KEY: Final = "clerk_id"
_LINK: Final = (
    "After `clerksync migrate`, run `clerksync link`. It shows which rows belong to "
    "which users, and writes nothing until you agree."
)
_WHOLE: Final = frozenset({"integer", "bigint", "smallint"})


def key_of(draft: Draft, tools: frozenset[str]) -> None:
    """Add `key`."""
    table = draft.table
    column = _by_clerks_name(table) or _with_clerk_ids(table) or _by_name(table)
    if column is None and (id_ := _text_id(table)) and not id_.values.present:
        column = id_
        draft.give_role("key", column.name, "guess: it is the Clerk ID")
        draft.decisions.append(
            f"{column.name}: it could be the Clerk ID, but no row that map could read "
            "shows it. If your application makes another ID, the Clerk ID needs a "
            f"column of its own. {how_to_add(table, NEW_KEY, tools)} Then run map "
            "again."
        )
    elif column is None:
        draft.give_role("key", NEW_KEY, "this column does not exist yet: see above")
        draft.decisions.append(
            f"{NEW_KEY}: no column holds the Clerk ID. "
            f"{how_to_add(table, NEW_KEY, tools)}{_link_rows(table)}"
        )
    else:
        draft.give_role("key", column.name)
        _unlinked(draft, column)
    draft.key = str(draft.settings[-1].value)
    if column is not None:
        _unusable_key(draft, column)


def _unusable_key(draft: Draft, column: MapColumn) -> None:
    table, name = draft.table.quoted, _quoted(column.name)
    if column.found.unique_by is None:
        draft.decisions.append(
            f"{column.name}: it is the key, but it is not unique. Run: CREATE UNIQUE "
            f"INDEX ON {table} ({name});"
        )
    length = column.found.length
    if length is not None and length < ID_LENGTH:
        draft.decisions.append(
            f"{column.name}: it is too short for Clerk IDs of {ID_LENGTH} "
            f"characters. Run: ALTER TABLE {table} ALTER COLUMN {name} TYPE text;"
        )


def _link_rows(table: MapTable) -> str:
    return f" {_LINK}" if table.sampled_rows else ""


def own_id_of(draft: Draft, tools: frozenset[str]) -> None:
    """Add `id` if the primary key is not the Clerk ID."""
    table = draft.table
    name = table.primary_key
    if name is None or name == draft.key:
        return
    column = table.columns[name]
    draft.claimed.add(name)
    generated, note = generator_of(column, tools)
    if generated is None:
        draft.decisions.append(
            f"{name}: it is the primary key, {column.found.type}, and nothing in the "
            "database fills it. Give it a default or make it an identity column: "
            f"ALTER TABLE {table.quoted} ALTER COLUMN {_quoted(name)} "
            f"{_filling(column)};"
        )
        return
    draft.set("id", {"column": name, "generate": generated}, note)
    if column.found.leads_to is not None:
        _shared_id(draft, column)


def generator_of(
    column: MapColumn, tools: frozenset[str]
) -> tuple[str | None, str | None]:
    """Return who makes an ID, and a comment if that is a guess."""
    if column.found.filled_by_table:
        return "database", None
    is_uuid = column.found.base_type == "uuid"
    if not is_uuid and column.found.base_type not in TEXTS:
        return None, None
    values = column.values
    seen = {
        "cuid": values.cuids,
        "uuid7": values.uuids_7,
        "uuid4": values.uuids,
    }
    for generated, count in seen.items():
        if values.present and count == values.present:
            return generated, None
    what = "a uuid" if is_uuid else "a text"
    note = f"guess: the application makes it, and it is {what}"
    if is_uuid:
        return "uuid7", note
    return "cuid" if tools & _MAKES_CUIDS or not tools else "uuid4", note


def _with_clerk_ids(table: MapTable) -> MapColumn | None:
    """The column of which most values in the sample are Clerk IDs."""
    likely = [
        column
        for column in table.columns.values()
        if column.found.base_type in TEXTS
        and 2 * column.values.clerk_ids > column.values.present
    ]
    # Another column may say who invited a user.
    return max(likely, key=_certainty, default=None)


def _certainty(column: MapColumn) -> tuple[bool, bool, int]:
    is_named_so = "clerk" in plain(column.name)
    return is_named_so, column.found.unique_alone, column.values.clerk_ids


def _by_clerks_name(table: MapTable) -> MapColumn | None:
    column = _by_name(table)
    return column if column and "clerk" in plain(column.name) else None


def _by_name(table: MapTable) -> MapColumn | None:
    names = {plain(name): column for name, column in table.columns.items()}
    likely = (names[name] for name in CLERK_ID if name in names)
    return next((c for c in likely if _may_be_clerk_id(c)), None)


def _may_be_clerk_id(column: MapColumn) -> bool:
    """An external ID that is there already is another provider's."""
    holds_others = column.values.present > 0 and "clerk" not in plain(column.name)
    return column.found.base_type in TEXTS and not holds_others


def _text_id(table: MapTable) -> MapColumn | None:
    """A primary key that could be a Clerk ID."""
    column = table.columns.get(table.primary_key or "")
    if column is None or column.found.filled_by_table:
        return None
    return column if column.found.base_type in TEXTS else None


def _unlinked(draft: Draft, column: MapColumn) -> None:
    """Rows that were there before Clerk."""
    rows, linked = draft.table.sampled_rows, column.values.clerk_ids
    if rows > linked:
        draft.decisions.append(
            f"{column.name}: of the first {counted(rows, 'row')}, {rows - linked:,} "
            f"without a Clerk ID. {_LINK}"
        )


def _shared_id(draft: Draft, column: MapColumn) -> None:
    """A primary key that is also another table's, such as Supabase's auth.users."""
    constraint = _quoted(str(column.found.foreign_key))
    draft.decisions.append(
        f"{column.name}: it references {column.found.leads_to}, where Clerk's users "
        f"have no row. Run: ALTER TABLE {draft.table.quoted} DROP CONSTRAINT "
        f"{constraint};"
    )


def _filling(column: MapColumn) -> str:
    if column.found.base_type in _WHOLE:
        return "ADD GENERATED BY DEFAULT AS IDENTITY"
    return "SET DEFAULT …"


def _quoted(name: str) -> str:
    return sql.Identifier(name).as_string()
