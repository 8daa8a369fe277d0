"""`map`."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, TypeVar

import psycopg
import typer

from clerksync.errors import ClerksyncError
from clerksync.mapping.file import load, parse
from clerksync.mapping.table import TableMapping
from clerksync.postgres.database import Database
from clerksync.settings.environment import Settings
from clerksync.settings.schemas import OWN, placed
from local.commands.context import database, err, fail, out, read_dotenv, say, stack
from local.doctor.output import show_findings
from local.map.catalog import read_table
from local.map.check import check as check_mapping
from local.map.draft import Draft
from local.map.find_table import find_table
from local.map.guess import draft_of
from local.map.toml_text import toml_text
from local.map.verdict import verdict_on
from local.migration_tools import Tool, recognise
from local.stack.target import has_own_settings, running_dev

Result = TypeVar("Result")


def map_table(
    file: Annotated[
        Path | None,
        typer.Argument(help="With --check: a mapping file, not CLERKSYNC_MAPPING's."),
    ] = None,
    *,
    table: Annotated[
        str | None,
        typer.Option(metavar="SCHEMA.NAME", help="The table that holds the users."),
    ] = None,
    out_file: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write the mapping to this file."),
    ] = None,
    force: Annotated[bool, typer.Option(help="Overwrite that file.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Check a mapping, and write none.")
    ] = False,
) -> None:
    """Read your users table and write its mapping, as TOML.

    The mapping goes to standard output or to --out FILE. What is left to decide, and
    what doctor would report, goes to standard error. Nothing in the database changes.

    With --check, exit with 1 if the mapping does not fit the table.
    """
    _refuse_wrong_use(file, table, out_file, check=check)
    if out_file is not None and out_file.exists() and not force:
        fail(f"{out_file} exists. Name another file, or overwrite it with --force.")
    read_dotenv()
    if not has_own_settings() and running_dev() is None:
        fail(
            "There is no database to read. Set DATABASE_URL to the database that has "
            "your users table, in the environment or in .env."
        )
    with stack() as settings, database(settings) as opened:
        if check:
            _check(settings, opened, file)
        else:
            _write(opened, table, out_file)


def _refuse_wrong_use(
    file: Path | None, table: str | None, out_file: Path | None, *, check: bool
) -> None:
    if file is not None and not check:
        raise typer.BadParameter(f"to write to a file, say --out {file}")
    if check and (table or out_file):
        raise typer.BadParameter("--check takes neither --table nor --out")


def _read(opened: Database, work: Callable[[psycopg.Connection], Result]) -> Result:
    """Call `work` in a transaction that cannot write."""

    def read_only(connection: psycopg.Connection) -> Result:
        with connection.transaction():
            connection.execute("SET TRANSACTION READ ONLY")
            return work(connection)

    return opened.run(read_only)


def _write(opened: Database, asked_for: str | None, out_file: Path | None) -> None:
    def work(connection: psycopg.Connection) -> tuple[Draft, list[Tool]]:
        tools = recognise(connection)
        found = find_table(connection, asked_for)
        table = read_table(connection, found.schema, found.name)
        return draft_of(table, [tool.name for tool in tools]), tools

    draft, tools = _read(opened, work)
    text = toml_text(draft, [tool.name for tool in tools])
    name = str(out_file) if out_file else "written above"
    if out_file is None:
        print(text, end="")
    else:
        out_file.write_text(text, "utf-8")
    say(err, f"Table: {draft.table.schema}.{draft.table.name}.")
    _show_tools(tools)
    _show_list("Left to decide", draft.decisions)
    try:
        mapping = parse(text, name=name)
    except ClerksyncError as error:
        fail(f"{error} Change that line; then run clerksync map --check FILE.")
    _show_next(draft.table.schema, out_file, fits=_show_verdict(mapping))


def _check(settings: Settings, opened: Database, file: Path | None) -> None:
    # A name without a slash would be one of the mappings that come with clerksync.
    mapping, schema = settings.mapping, settings.schema
    if file:
        schema = os.environ.get("CLERKSYNC_SCHEMA") or OWN
        mapping = placed(load(str(file.absolute())), schema)
        mapping = mapping.with_deletion(soft=settings.soft_delete)
    checked = _read(opened, lambda c: check_mapping(c, mapping, schema))
    for problem in checked.problems:
        say(out, problem)
    if not checked.problems:
        say(out, f"Mapping {file or mapping.name} fits its table.")
    if checked.unfilled:
        say(out, "Nothing fills these columns; a new row has:")
        for column in checked.unfilled:
            say(out, f"  {column}")
    if checked.problems:
        raise typer.Exit(1)


def _show_tools(tools: Iterable[Tool]) -> None:
    for tool in tools:
        message = f"Migrations: {tool.name}, by its table {tool.schema}.{tool.table}."
        if tool.unknown_tables:
            message += f" {tool.unknown_tables}"
        say(err, message)


def _show_list(title: str, lines: list[str]) -> None:
    if not lines:
        say(err, f"{title}: nothing.")
        return
    say(err, f"{title}:")
    for line in lines:
        say(err, f"- {line}")


def _show_verdict(mapping: TableMapping) -> bool:
    """Return whether the table fits."""
    say(err, "With this mapping, doctor would report:")
    found = show_findings(err, verdict_on(mapping))
    return all(finding.level != "wrong" for finding in found)


def _show_next(table_schema: str, out_file: Path | None, *, fits: bool) -> None:
    file = out_file or "FILE"
    if out_file is None:
        say(err, "Save the mapping, for example with --out clerksync.toml.")
    say(err, "Next, put this into .env:")
    say(err, f"  CLERKSYNC_MAPPING={file}")
    own_schema = os.environ.get("CLERKSYNC_SCHEMA")
    if own_schema == table_schema:
        say(
            err,
            f"CLERKSYNC_SCHEMA is {own_schema}, the schema of your own tables. To keep "
            "clerksync's tables out of the way of your migrations, say "
            f"CLERKSYNC_SCHEMA={OWN}.",
        )
    if fits:
        say(err, "Then run clerksync migrate.")
    else:
        say(
            err,
            "Then change the table or the mapping where doctor says wrong, and check "
            f"again: clerksync map --check {file}",
        )
