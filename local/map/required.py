"""Guess a value for each column that a new row must have, and that nothing fills."""

from typing import Final

from psycopg import sql

from local.map.catalog import MapColumn
from local.map.draft import Draft
from local.map.usual_names import (
    ACTIVE,
    NUMBERS,
    PASSWORD,
    PREFERRED_LABELS,
    TEXTS,
    TIMES,
    plain,
)

Constant = str | int | bool
_EMPTY: Final = {"jsonb": "{}", "json": "{}"}
# For these, false is no guess: a person who signs up is none of them.
_SURELY_FALSE: Final = frozenset(
    {"issuperuser", "isstaff", "isadmin", "superuser", "staff", "admin"}
    | {"isdeleted", "deleted", "isbanned", "isblocked", "suspended", "disabled"}
)


def required_of(draft: Draft) -> None:
    """Add a value, or a decision, for each such column."""
    for column in draft.free():
        if column.needs_value:
            _require(draft, column)


def constant_for(column: MapColumn) -> tuple[Constant | None, bool]:
    """Return a value that suits a new row, and whether it is certain.

    None if no value can be guessed.
    """
    if column.found.unique_alone or column.leads_to is not None:
        return None, False
    if column.labels:
        by_plain = {plain(label): label for label in reversed(column.labels)}
        likely = (by_plain[p] for p in PREFERRED_LABELS if p in by_plain)
        return next(likely, column.labels[0]), False
    return _by_type(plain(column.name), column.found.base_type)


def _by_type(name: str, type_: str) -> tuple[Constant | None, bool]:
    if type_ == "boolean":
        return name in ACTIVE, name in {*ACTIVE, *_SURELY_FALSE}
    if type_ in NUMBERS:
        return 0, False
    if type_ in TEXTS:
        return ("!", True) if name in PASSWORD else ("", False)
    return ("{}", True) if type_.endswith("[]") else (_EMPTY.get(type_), False)


def describe(column: MapColumn) -> str:
    """Return a column's labels, or its type, for a sentence."""
    if column.labels:
        return f"one of {', '.join(column.labels)}"
    return f"of type {column.found.type}"


def _require(draft: Draft, column: MapColumn) -> None:
    name, table = column.name, draft.table
    value, is_certain = constant_for(column)
    is_time = column.found.base_type in TIMES and not column.found.unique_alone
    if is_time and column.holds_milliseconds:
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
    elif is_certain:
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
    if column.leads_to is not None:
        return (
            f"{name}: a new row must reference {column.leads_to}. If one row there "
            f"suits every new user, say {name} = … in [defaults]. Otherwise drop NOT "
            f"NULL: ALTER TABLE {table} ALTER COLUMN {quoted} DROP NOT NULL;"
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
