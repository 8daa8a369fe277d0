"""clerksync's own tables beside a tool that manages the application's schema."""

from typing import Final

from clerksync.mapping.file import DEFAULT
from clerksync.schema.new_tables import tables_there
from clerksync.settings.schemas import OWN, PUBLIC
from local.doctor.check_runner import Verdicts, ok, skipped, warning
from local.doctor.orm_remedies import filter_hint
from local.doctor.subject import Subject
from local.migration_tools import Tool

_MOVE: Final = f"To move them, run: clerksync migrate --move-to {OWN}"
_FORGETS: Final = "Without them, clerksync forgets which users were deleted."


def other_tools(subject: Subject) -> Verdicts:
    """Whether the next push of a tool would drop clerksync's tables."""
    if subject.is_elsewhere:
        yield skipped("Waits for: schema.")
        return
    tables = _own_tables(subject)
    managing = [tool for tool in subject.tools if _may_drop(tool, subject)]
    if not tables:
        yield ok("clerksync has no tables yet, so no tool can drop them.")
    elif managing:
        for tool in managing:
            yield warning(_warning(tool, subject, tables))
    elif subject.mapping != DEFAULT and subject.schema == subject.schemas[1]:
        yield warning(
            f"clerksync's tables are in the schema {subject.schema}, beside those of "
            "the application. A tool that manages this schema (such as `prisma db push`"
            f" or `drizzle-kit push`) drops tables that it does not know. {_FORGETS} "
            f"{_MOVE}"
        )
    else:
        names = ", ".join(dict.fromkeys(tool.name for tool in subject.tools))
        found = f" ({names} found)" if names else ""
        yield ok(f"No tool is known to drop clerksync's tables{found}.")


def _own_tables(subject: Subject) -> list[str]:
    there = subject.database.run(lambda c: tables_there(c, subject.schema))
    if subject.mapping != DEFAULT:
        there.discard(DEFAULT.table)
    if not subject.mapping.rate_limits:
        there -= {"rate_limits", "tiers"}
    # Any of the rest may be the application's.
    return sorted(there) if "sync_state" in there else []


def _may_drop(tool: Tool, subject: Subject) -> bool:
    managed = {PUBLIC, tool.schema, subject.schemas[1]} - {OWN}
    if subject.mapping == DEFAULT:
        managed = {PUBLIC, tool.schema}
    return tool.unknown_tables is not None and subject.schema in managed


def _warning(tool: Tool, subject: Subject, tables: list[str]) -> str:
    if subject.mapping == DEFAULT:
        what = f"The tables {', '.join(tables)} are in the schema {subject.schema}."
        remedy = filter_hint(tool, subject.schema, tables)
    else:
        what = f"clerksync's tables are in the schema {subject.schema}."
        remedy = _MOVE
    return (
        f"{what} {tool.name} manages this database: {tool.unknown_tables} {_FORGETS} "
        f"{remedy}"
    )
