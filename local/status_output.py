"""How the status is shown: counts, the last runs as a table, and notes."""

from collections.abc import Iterator
from datetime import UTC
from typing import Final

from rich.console import Console
from rich.table import Table

from local.progress import counted, span
from local.status import EMAIL_TAKEN, RunShown, Status

# Lambda ends a run after 15 minutes. A state machine may take hours.
_LONGEST_RUN_SECONDS: Final = 16 * 60


def show_status(console: Console, status: Status) -> None:
    """Counts, the last runs as a table, and whatever needs a word."""
    console.print(_counts(status))
    if status.runs:
        console.print()
        console.print(_run_table(status.runs))
    for note in _notes(status):
        console.print(f"\n{note}", soft_wrap=True, highlight=False, markup=False)


def _counts(status: Status) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="dim", overflow="fold")
    asked = status.clerk_users is not None
    table.add_row(
        "users at Clerk",
        f"{status.clerk_users:,}" if asked else "unknown",
        "" if asked else "Clerk could not be asked",
    )
    table.add_row("users in the table", f"{status.users:,}")
    for reason, users in status.skipped.items():
        until = "until that row is linked" if reason == EMAIL_TAKEN else ""
        table.add_row(
            "skipped", f"{users:,}", f"{reason}: they get no row {until}".strip()
        )
    if status.drift is not None:
        too_many = "more than at Clerk" if status.drift < 0 else ""
        missing = "missing in the table" if status.drift > 0 else ""
        table.add_row("drift", f"{abs(status.drift):,}", too_many or missing)
    table.add_row("tombstones", f"{status.tombstones:,}", "deleted, and stay deleted")
    if status.soft_deleted:
        table.add_row("soft-deleted", f"{status.soft_deleted:,}", "rows that are kept")
    if status.never_synced:
        table.add_row(
            "never synced", f"{status.never_synced:,}", "rows that no sync has written"
        )
    if status.other_keys:
        table.add_row(
            "other rows", f"{status.other_keys:,}", "their key is no Clerk id"
        )
    return table


def _run_table(runs: list[RunShown]) -> Table:
    """In 80 columns."""
    table = Table(box=None, header_style="dim", padding=(0, 1, 0, 0))
    for heading in ("run began (UTC)", "mode", "status"):
        table.add_column(heading, no_wrap=True)
    for heading in ("took", "created", "updated", "deleted", "failed"):
        table.add_column(heading, justify="right", no_wrap=True)
    colours = {"completed": "green", "partial": "yellow", "running": "cyan"}
    for run in runs:
        status = run.status
        if run.dry_run:
            status = "dry run" if status == "completed" else f"dry run {status}"
        counts = (run.created, run.updated, run.deleted, run.failed)
        table.add_row(
            f"{run.started_at.astimezone(UTC):%Y-%m-%d %H:%M}",
            run.mode,
            f"[{colours.get(run.status, 'red')}]{status}[/]",
            span(run.seconds),
            *(f"{count:,}" for count in counts),
        )
    return table


def _notes(status: Status) -> Iterator[str]:
    if status.unlinked:
        yield (
            f"{counted(status.unlinked, 'row has', 'rows have')} an email and no Clerk "
            "ID: run clerksync link to see whose they are."
        )
    if status.last_full_run is None:
        yield "No full run has been completed yet: run clerksync sync."
    else:
        run = status.last_full_run
        yield (
            f"The last complete full run was {span(run.seconds_ago)} ago, and put "
            f"{counted(run.drift, 'user')} right."
        )
    for run in status.runs:
        since = span(run.seconds_ago)
        if run.status == "running" and run.seconds_ago < _LONGEST_RUN_SECONDS:
            yield f"A run ({run.mode}) is in progress, for {since}."
        elif run.status == "running":
            yield (
                f"A run ({run.mode}) says that it is running, for {since}: it was "
                "killed, unless it is a state machine's."
            )
        elif run.has_checkpoint:
            yield (
                f"A run ({run.mode}) stopped {since} ago with users to come: the next "
                "of that mode goes on from there."
            )
    newest = next((run for run in status.runs if run.status != "running"), None)
    if newest is not None and newest.reason:
        what = "dry run" if newest.dry_run else "run"
        yield f"The last {what} ended {newest.status}: {newest.reason}"
    if newest is not None and newest.deletions_blocked:
        blocked = counted(newest.deletions_blocked, "deletion was", "deletions were")
        yield (
            f"{blocked} blocked in the last run, and counted as failed. clerksync "
            "doctor shows which foreign keys block deletions, and the remedy."
        )
    if status.clerk_error:
        yield status.clerk_error
