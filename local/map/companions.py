"""Guess which tables have a row for each user."""

from clerksync.schema.not_null_values import plain
from local.map.catalog import MapColumn, OneToOne
from local.map.draft import CompanionDraft, Draft, Entry
from local.map.keys import generator_of
from local.map.usual_names import COMPANIONS, CREATED, TIMES, UPDATED


def companions_of(draft: Draft, tools: frozenset[str]) -> None:
    """Add each one-to-one table whose rows can be made from constants."""
    for candidate in draft.table.one_to_one:
        if candidate.table.schema != draft.table.schema:
            continue
        if (companion := _companion(candidate, tools)) is None:
            continue
        draft.companions.append(companion)
        name = candidate.table.name
        if companion.is_suggestion:
            draft.decisions.append(
                f"{name}: it has at most one row for each user. If each new user needs "
                "one, uncomment its [[companions]]."
            )
        else:
            draft.decisions.append(
                f"{name}: each new user gets a row there. If your application "
                "makes it, take its [[companions]] out."
            )


def _companion(candidate: OneToOne, tools: frozenset[str]) -> CompanionDraft | None:
    """None if a column needs a value that is no constant."""
    table = candidate.table
    entries = [
        Entry("table", table.name),
        Entry("key", candidate.key),
        Entry("references", candidate.references),
    ]
    values: list[Entry] = []
    certain = True
    for column in table.columns.values():
        if column.name == candidate.key or not column.needs_value:
            continue
        if column.name == table.primary_key:
            generated, note = generator_of(column, tools)
            if generated is None:
                return None
            own_id = {"column": column.name, "generate": generated}
            entries.append(Entry("id", own_id, note))
        elif role := _role(column):
            entries.append(Entry(role, column.name))
        else:
            value, is_certain = column.constant, column.is_certain
            if value is None:
                return None
            # Zero and false are what a new account has; an empty text may be wrong.
            certain &= is_certain or (value == 0 and not column.found.allowed)
            note = None if is_certain else "guess"
            values.append(Entry(column.name, value, note))
    usual = COMPANIONS.search(plain(table.name)) is not None
    note = f"At most one row of {table.name} belongs to each user."
    if not usual or not certain:
        return CompanionDraft(entries, values, note, is_suggestion=True)
    return CompanionDraft(entries, values, f"{note} Guess: each new user gets one.")


def _role(column: MapColumn) -> str | None:
    if column.found.base_type not in TIMES:
        return None
    name = plain(column.name)
    if name in CREATED:
        return "created_at"
    return "updated_at" if name in UPDATED else None
