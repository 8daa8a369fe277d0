"""clerksync's own tables beside a tool that manages the application's schema."""

from pathlib import Path
from typing import Final

from clerksync.mapping.file import DEFAULT
from clerksync.schema.new_tables import tables_there
from clerksync.settings.schemas import OWN, PUBLIC
from local.doctor.check_runner import Verdicts, ok, skipped, warning, wrong
from local.doctor.orm_remedies import filter_hint
from local.doctor.subject import Subject
from local.migration_tools import Tool

_MOVE: Final = f"To move them, run: clerksync migrate --move-to {OWN}"
_LEDGER: Final = "clerksync_migrations"
_FORGETS: Final = "Without them, clerksync forgets which users were deleted."


def other_tools(subject: Subject) -> Verdicts:
    """Whether the next push of a tool would drop clerksync's tables."""
    if subject.is_elsewhere:
        yield skipped("Waits for: schema.")
        return
    tables = _own_tables(subject)
    managing = [tool for tool in subject.tools if _may_drop(tool, subject)]
    if not tables and (rest := _left_over(subject)):
        yield wrong(
            f"clerksync's tables are missing from the schema {subject.schema}, but "
            f"{_LEDGER} shows that migrate made them. A tool or a person has dropped "
            f"them. {_FORGETS} To make them again, run: DROP TABLE {rest}; then "
            "clerksync migrate and clerksync sync."
        )
    elif not tables:
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
    elif _drops_schemas(subject):
        yield warning(
            f"Drizzle was found. From version 1.0 on, `drizzle-kit push` drops schemas "
            f"that are not in the Drizzle schema, such as {subject.schema}. {_FORGETS} "
            "In drizzle.config.ts, say which schemas are yours: schemaFilter: "
            f'["{subject.schemas[1]}"]'
        )
    else:
        names = ", ".join(dict.fromkeys(tool.name for tool in subject.tools))
        found = f" ({names} found)" if names else ""
        yield ok(f"No tool is known to drop clerksync's tables{found}.")


def _drops_schemas(subject: Subject) -> bool:
    """Whether Drizzle is there, and no configuration in this folder limits it to
    schemas (https://github.com/drizzle-team/drizzle-orm/issues/5190)."""
    if subject.schema == PUBLIC or all(t.name != "Drizzle" for t in subject.tools):
        return False
    configs = [f.read_text("utf-8", "replace") for f in Path().glob("drizzle.config.*")]
    return not any("schemaFilter" in config for config in configs)


def _left_over(subject: Subject) -> str:
    """Return what migrate would stumble over; nothing if it never made any tables."""
    there = subject.database.run(lambda c: tables_there(c, subject.schema))
    if _LEDGER not in there:
        return ""
    parts = sorted(there & {_LEDGER, "sync_runs", "sync_run_listed"})
    return ", ".join(subject.own_table(name) for name in parts)


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
