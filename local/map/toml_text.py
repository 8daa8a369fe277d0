"""A draft as the text of a TOML file."""

from collections.abc import Iterable, Iterator, Mapping

from clerksync.mapping.as_toml import toml, toml_name
from local.map.catalog import MapColumn
from local.map.draft import CompanionDraft, Draft, Entry


def toml_text(draft: Draft, tools: Iterable[str]) -> str:
    """Return the text of the mapping file."""
    return "\n".join([*_lines(draft, tools), ""])


def _lines(draft: Draft, tools: Iterable[str]) -> Iterator[str]:
    table = draft.table
    made_by = ", ".join(tools)
    yield (
        f"# The mapping of {table.schema}.{table.name}, written by clerksync map. What "
        "it can say: docs/mapping.md."
    )
    if made_by:
        yield f"# Migrations: {made_by}."
    if draft.decisions:
        yield "#"
        yield "# Left to decide:"
        yield from (f"# - {decision}" for decision in draft.decisions)
    yield "[table]"
    yield from map(_entry, draft.settings)
    yield ""
    yield "[columns]"
    yield from map(_entry, draft.columns)
    if draft.defaults:
        yield ""
        yield "[defaults]  # for a new row; sync never writes them again"
        yield from map(_entry, draft.defaults)
    yield from _left_alone(draft)
    for companion in draft.companions:
        yield ""
        yield from _companion(companion)


def _left_alone(draft: Draft) -> Iterator[str]:
    """The columns that stay the application's."""
    if not (columns := draft.free()):
        return
    yield ""
    yield "# Nothing fills these columns. They stay your application's:"
    yield from (f"#   {_described(column)}" for column in columns)


def _described(column: MapColumn) -> str:
    said = column.found.type
    if column.found.allowed:
        said += f" ({', '.join(column.found.allowed)})"
    if column.found.filled_by_table:
        said += ", which has a default"
    return f"{column.name}: {said}"


def _companion(companion: CompanionDraft) -> Iterator[str]:
    yield f"# {companion.note}"
    lines = ["[[companions]]", *map(_entry, companion.entries)]
    if companion.values:
        inner = {entry.name: entry.value for entry in companion.values}
        guessed = [entry.name for entry in companion.values if entry.note]
        note = f"guess: {', '.join(guessed)}" if guessed else None
        # A constant is no table: the types of a draft are wider than its values.
        values = {k: v for k, v in inner.items() if not isinstance(v, Mapping)}
        lines.append(_entry(Entry("values", values, note)))
    yield from (f"# {line}" if companion.is_suggestion else line for line in lines)


def _entry(entry: Entry) -> str:
    line = f"{toml_name(entry.name)} = {toml(entry.value)}"
    if entry.note:
        line += f"  # {entry.note}"
    return f"# {line}" if entry.is_suggestion else line
