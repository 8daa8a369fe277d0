"""Guess a value for each column that a new row must have, and that nothing fills."""

from psycopg import sql

from clerksync.schema.not_null_values import ACTIVE, PASSWORD, TEXTS, plain
from local.map.catalog import MapColumn
from local.map.draft import Draft
from local.map.usual_names import TIMES


def required_of(draft: Draft) -> None:
    """Add a value, or a decision, for each such column."""
    for column in draft.free():
        if column.needs_value:
            _require(draft, column)


def describe(column: MapColumn) -> str:
    """Return a column's labels, or its type, for a sentence."""
    if column.found.allowed:
        return f"one of {', '.join(column.found.allowed)}"
    return f"of type {column.found.type}"


def _require(draft: Draft, column: MapColumn) -> None:
    name, table = column.name, draft.table
    value = column.constant
    is_time = column.found.base_type in TIMES and not column.found.unique_alone
    if is_time and column.found.holds_milliseconds:
        draft.fill(name, "created_at", "guess: the time of the sign-up")
        draft.decisions.append(
            f"{name}: it is NOT NULL and has no default. It gets the time of the "
            "sign-up, and sync keeps it so. If your application changes it, give the "
            f"column a default instead: ALTER TABLE {table.quoted} ALTER COLUMN "
            f"{_quoted(name)} SET DEFAULT now();"
        )
    elif value is None:
        draft.claimed.add(name)
        draft.decisions.append(_undecided(draft, column))
    elif column.is_certain:
        note = "no password matches it" if plain(name) in PASSWORD else None
        if plain(name) in ACTIVE:
            note = f'to follow bans at Clerk, say {name} = "not banned" in [columns]'
        draft.start_with(name, value, note)
    else:
        draft.start_with(name, value, f"guess: {describe(column)}")
        shown = f'"{value}"' if isinstance(value, str) else str(value).lower()
        draft.decisions.append(
            f"{name}: it is NOT NULL and has no default. {shown} is a guess, "
            f"{describe(column)}. If it is wrong, change it in [defaults]."
        )


def _undecided(draft: Draft, column: MapColumn) -> str:
    name, table = column.name, draft.table.quoted
    quoted = _quoted(name)
    if column.found.leads_to is not None:
        return (
            f"{name}: a new row must reference {column.found.leads_to}. If one row "
            f"there suits every new user, say {name} = … in [defaults]. Otherwise drop "
            f"NOT NULL: ALTER TABLE {table} ALTER COLUMN {quoted} DROP NOT NULL;"
        )
    if column.found.base_type in TIMES:
        return (
            f"{name}: it is NOT NULL and has no default. Run: ALTER TABLE {table} "
            f"ALTER COLUMN {quoted} SET DEFAULT now();"
        )
    if column.found.unique_alone:
        default = "gen_random_uuid()"
        if column.found.base_type in TEXTS:
            default += "::text"
        if column.found.base_type not in TEXTS | {"uuid"}:
            default = "…"
        return (
            f"{name}: it is unique and NOT NULL, so no constant suits it. Give it a "
            f"default that is unique: ALTER TABLE {table} ALTER COLUMN {quoted} SET "
            f"DEFAULT {default};"
        )
    return (
        f"{name}: it is NOT NULL and has no default, and no value can be guessed for "
        f"a {column.found.type}. Say {name} = … in [defaults], or run: ALTER TABLE "
        f"{table} ALTER COLUMN {quoted} DROP NOT NULL;"
    )


def _quoted(name: str) -> str:
    return sql.Identifier(name).as_string()
