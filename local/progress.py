"""How a command shows what it does: a bar on a terminal, plain lines in a pipe."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from clerksync.bulk.report import Report
from clerksync.schema.length_fit import WARNING
from clerksync.schema.move import MOVED
from clerksync.schema.new_tables import REVOKED

_LABELS = {
    "emails": "looking at users",
    "fetch": "reading Clerk",
    "link": "linking rows",
    "match": "matching users",
    "seed": "making users",
    "sweep": "proving orphans",
}
_SECONDS_BETWEEN_LINES = 2.0

_COUNTED = (
    "fetched",
    "created",
    "updated",
    "unchanged",
    "skipped",
    "failed",
    "companions_failed",
    "email_conflicts",
    "held_back",
    "orphans_found",
    "deleted",
    "deletions_blocked",
    "requests",
    "windows",
    "users_per_second",
    "clerk_ahead_ms",
    "plan_ms",
    "fetch_ms",
    "write_ms",
    "sweep_ms",
    "prove_ms",
    "duration_ms",
)

Advance = Callable[[str, int, int], None]


def show_applied(console: Console, lines: Iterable[str]) -> None:
    """Show what a migration did, a line for each thing."""
    for line in lines:
        is_name = not line.startswith((REVOKED, WARNING, MOVED))
        text = f"applied {line}" if is_name else line
        console.print(text, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def shown_progress(console: Console, *, transient: bool = False) -> Iterator[Advance]:
    """Gives the function that is told of progress; a transient bar goes when done."""
    if not console.is_terminal:
        yield _lines(console)
        return
    columns = (
        TextColumn("{task.description:16}"),
        BarColumn(bar_width=40),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=transient) as progress:
        tasks = {}

        def advance(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = progress.add_task(_LABELS[phase])
            progress.update(tasks[phase], completed=done, total=total)

        yield advance


def _lines(console: Console) -> Advance:
    last_time, last_line = 0.0, ""

    def advance(phase: str, done: int, total: int) -> None:
        nonlocal last_time, last_line
        now = time.monotonic()
        line = f"{_LABELS[phase]}: {done} of {total}"
        due = done == total or now - last_time > _SECONDS_BETWEEN_LINES
        if due and line != last_line:
            last_time, last_line = now, line
            console.print(line, highlight=False)

    return advance


def counted(count: int, one: str, more: str | None = None) -> str:
    """Return a count with its noun. `more` is the plural if it is not `one` with an s;
    both may include a verb: counted(n, "row has", "rows have")."""
    return f"{count:,} {one if count == 1 else more or f'{one}s'}"


def span(seconds: float) -> str:
    """A length of time for people: in the largest unit of which it has two."""
    for unit, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def show_report(console: Console, report: Report) -> None:
    """The summary at the end of a run."""
    colour = {"completed": "green", "partial": "yellow"}.get(report.status, "red")
    mode = f"{report.mode}, dry run" if report.dry_run else report.mode
    console.print(f"[{colour}]{report.status}[/{colour}] ({mode})")
    if report.reason:
        console.print(report.reason, markup=False, soft_wrap=True)
    for failure in report.failures:
        console.print(f"failed: {failure}", markup=False, soft_wrap=True)
    counts = report.as_json()
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right")
    for name in _COUNTED:
        table.add_row(name, str(counts[name]))
    console.print(table)
