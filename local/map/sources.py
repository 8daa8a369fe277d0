"""Guess which column gets which value of Clerk's user."""

from typing import Final

from clerksync.mapping.as_toml import DELETED_EMAIL
from clerksync.mapping.table import Constant
from clerksync.schema.length_fit import LENGTHS, is_short
from clerksync.schema.not_null_values import TEXTS, plain
from clerksync.schema.null_fit import ALWAYS
from local.map.catalog import MapColumn
from local.map.draft import Draft
from local.map.new_column import how_to_add
from local.map.usual_names import (
    CREATED,
    DELETED,
    EMAIL,
    SOURCES,
    SUGGESTED,
    TIER,
    TIMES,
    UPDATED,
)

# Often not asked for at Clerk: NULL would then overwrite what the table has.
_OFTEN_THE_APPLICATIONS: Final = frozenset({"username", "phone_number"})
# A soft deletion leaves them as they are.
_IMPERSONAL: Final = frozenset(
    {"created_at", "updated_at", "banned", "not banned", "clerk_id", "email"}
)
_GUESSED: Final = frozenset(
    {"first", "last", "login", "handle", "userhandle", "image", "avatar", "picture"}
    | {"photo", "datejoined", "joinedat", "signedupat", "registeredat"}
)


def email_of(draft: Draft, tools: frozenset[str]) -> None:
    """Add the column of the email, and what the table demands of it."""
    column = _first(draft, EMAIL, TEXTS)
    if column is None:
        draft.fill("email", "email", "this column does not exist yet: see above")
        draft.decisions.append(
            "email: no column holds the email. "
            f"{how_to_add(draft.table, 'email', tools)}"
        )
        return
    draft.fill(column.name, "email")
    _too_short(draft, column, "email")
    if column.found.not_null:
        draft.email_not_null = True
        draft.set("email_not_null", value=True)
    if column.found.unique_by is None:
        draft.set("email_unique", value=False)


def times_of(draft: Draft) -> None:
    """Add the times of the row itself."""
    for role, names in (("created_at", CREATED), ("updated_at", UPDATED)):
        if column := _first(draft, names, TIMES):
            draft.give_role(role, column.name)


def tier_of(draft: Draft) -> None:
    """Add `tier`, unless the table has a default for it."""
    column = _first(draft, TIER, TEXTS)
    if column is None or column.found.allowed or column.found.filled_by_table:
        return
    note = "guess: a new row gets CLERKSYNC_DEFAULT_TIER, and sync never changes it"
    draft.give_role("tier", column.name, note)


def sources_of(draft: Draft) -> None:
    """Add each column whose name is a usual one for a field of Clerk's users."""
    for source, types, names in SOURCES:
        column = _first(draft, names, types)
        if column is None or not column.found.holds_milliseconds:
            continue
        if source == "created_at" and _is_older_than_clerk(draft, column):
            _keep_time(draft, column)
        else:
            _fill(draft, column, source)


def suggestions_of(draft: Draft) -> None:
    """Add, as comments, columns that may belong to the application."""
    for source, types, names, why in SUGGESTED:
        column = _first(draft, names, types)
        if column is None or column.needs_value:
            continue
        if not column.found.holds_milliseconds:
            continue
        draft.fill(column.name, source, f"only if you want it: {why}", suggest=True)


def overwritten_by(draft: Draft) -> None:
    """Name the columns that lose what rows from before Clerk have in them."""
    # `link` compares emails, and a Clerk ID in a different column is announced already.
    filled = [
        draft.table.columns[entry.name]
        for entry in draft.columns
        if entry.name in draft.table.columns
        and not entry.is_suggestion
        and entry.value not in ("email", "clerk_id")
    ]
    lost = [
        column.name
        for column in filled
        if column.values.present or column.found.base_type not in TEXTS
    ]
    if draft.table.sampled_rows and lost:
        draft.decisions.append(
            f"Your rows: the first sync overwrites {', '.join(lost)} with what Clerk "
            "has, even if Clerk has nothing. To keep what is in a column, remove its "
            "line."
        )


def deletion_of(draft: Draft) -> None:
    """Add how users are deleted, if the table has a column for that."""
    column = _first(draft, DELETED, TIMES)
    if column is None or column.found.not_null:
        return
    draft.give_role("deleted_at", column.name)
    if draft.table.keeps_deleted:
        note = "guess: a rule or trigger of the table steps in before a DELETE"
        draft.set("deletion", "trigger", note)
    elif _has_strict_columns(draft):
        draft.set("deletion", "hard")
        draft.decisions.append(
            f"{column.name}: users are deleted with their row, because soft deletion "
            "must empty columns that are NOT NULL. For soft deletion, drop NOT NULL "
            'and say deletion = "soft".'
        )
    else:
        draft.set("deletion", "soft")
        if draft.email_not_null:
            draft.set("deleted_email", DELETED_EMAIL)
        draft.decisions.append(
            f"{column.name}: a deleted user keeps its row, without email and name. If "
            'the row itself must go, say deletion = "hard".'
        )


def _fill(draft: Draft, column: MapColumn, source: str) -> None:
    found, name = column.found, column.name
    note = f"guess: Clerk's {source}" if plain(name) in _GUESSED else None
    if (
        source in _OFTEN_THE_APPLICATIONS
        and column.values.present
        and not (column.needs_value)
    ):
        why = "sync would overwrite what your rows have, with NULL if Clerk has nothing"
        draft.fill(name, source, f"only if you want it: {why}", suggest=True)
        return
    if found.not_null and found.unique_alone and source not in ALWAYS:
        _fill_unique(draft, column, source)
        return
    value: dict[str, Constant] = {"from": source}
    if source in LENGTHS or found.unique_alone:
        _too_short(draft, column, source)
    elif found.length is not None and is_short(found.length, source):
        value["truncate"] = found.length
        cut = f"the column is {found.type}: longer texts are cut off"
        note = f"{note}; {cut}" if note else cut
    if found.not_null and source not in ALWAYS:
        value["or"] = False if source == "banned" else ""
    draft.fill(name, value if len(value) > 1 else source, note)


def _too_short(draft: Draft, column: MapColumn, source: str) -> None:
    """A text that must stay whole, and that the column may refuse."""
    if is_short(column.found.length, source):
        draft.decisions.append(
            f"{column.name}: it is {column.found.type}, and users with a longer "
            f"{source} would be refused. To prevent that, run: ALTER TABLE "
            f'{draft.table.quoted} ALTER COLUMN "{column.name}" TYPE text;'
        )


def _is_older_than_clerk(draft: Draft, column: MapColumn) -> bool:
    """Whether rows may have a time from before Clerk."""
    return draft.table.sampled_rows > 0 and "clerk" not in plain(column.name)


def _keep_time(draft: Draft, column: MapColumn) -> None:
    """The time of a sign-up: sync must not overwrite those that are there."""
    has_created_at = any(entry.name == "created_at" for entry in draft.settings)
    if not has_created_at:
        note = "guess: set when the row is created, and never again"
        draft.give_role("created_at", column.name, note)
    elif not column.needs_value:
        why = "sync would overwrite what your rows have"
        draft.fill(
            column.name, "created_at", f"only if you want it: {why}", suggest=True
        )


def _fill_unique(draft: Draft, column: MapColumn, source: str) -> None:
    """A column that is unique and NOT NULL, for which Clerk may have nothing."""
    name, table = column.name, draft.table
    draft.fill(name, "clerk_id", f"not {source}: Clerk may have none")
    if table.sampled_rows:
        draft.decisions.append(
            f"{name}: sync would overwrite the values of your rows with Clerk IDs. "
            "To keep them, remove this line and give the column a default that is "
            f'unique: ALTER TABLE {table.quoted} ALTER COLUMN "{name}" SET DEFAULT '
            "gen_random_uuid()::text;"
        )


def _has_strict_columns(draft: Draft) -> bool:
    """Whether a soft deletion could not empty a column. What takes the place of an
    email is a matter of its own."""
    for entry in draft.columns:
        column = draft.table.columns.get(entry.name)
        if column is None or entry.is_suggestion or not column.found.not_null:
            continue
        # A constant for want of a value is written by a soft deletion, too.
        if isinstance(entry.value, str) and entry.value not in _IMPERSONAL:
            return True
    return False


def _first(
    draft: Draft, names: tuple[str, ...], types: frozenset[str]
) -> MapColumn | None:
    """The column with the likeliest of these names that nothing has claimed."""
    free = {plain(c.name): c for c in reversed(draft.free())}
    likely = (free[name] for name in names if name in free)
    return next((c for c in likely if c.found.base_type in types), None)
