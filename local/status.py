"""`clerksync status`: Clerk, the table and the ledger side by side."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from rich.console import Console
from rich.table import Table

from clerksync.clerk.retry import INTERACTIVE
from clerksync.errors import (
    ClerkRequestError,
    ClerkUnavailableError,
    MissingSettingError,
)
from clerksync.postgres.database import Database
from clerksync.settings.clerk_client import clerk_client
from clerksync.settings.environment import Settings
from clerksync.write.identifiers import identifiers
from local.progress import span

_DAY_MS: Final = 86_400_000
# Lambda ends a run after 15 minutes. A state machine may take hours.
_LONGEST_RUN_SECONDS: Final = 16 * 60

# A row without a key of Clerk's is the application's own.
_TABLE: LiteralString = """
    SELECT count(*) FILTER (WHERE is_clerks AND is_live) AS users,
           count(*) FILTER (WHERE is_clerks AND NOT is_live) AS soft_deleted,
           count(*) FILTER (WHERE NOT is_clerks) AS other_keys,
           count(*) FILTER (WHERE has_no_key AND has_email) AS unlinked,
           count(*) FILTER (WHERE is_clerks AND is_live AND version IS NULL)
               AS never_synced
    FROM (
        SELECT coalesce(u.{key}::text ~ {clerk_id}, false) AS is_clerks,
               {live} AS is_live,
               coalesce(u.{key}::text, '') = '' AS has_no_key,
               u.{email} IS NOT NULL AS has_email,
               s.clerk_updated_at AS version
        FROM {users} AS u
        LEFT JOIN {sync_state} AS s ON s.clerk_id = u.{key}::text
    ) AS rows
"""
_TOMBSTONES: LiteralString = """
    SELECT count(*) AS tombstones FROM {sync_state} WHERE deleted_at IS NOT NULL
"""
_SKIPPED: LiteralString = """
    SELECT skipped AS reason, count(*) AS users
    FROM {sync_state}
    WHERE skipped IS NOT NULL AND deleted_at IS NULL
    GROUP BY skipped
    ORDER BY skipped
"""
_RUNS: LiteralString = """
    SELECT run_id, mode, status, dry_run, started_at,
           extract(epoch FROM now() - started_at)::float8 AS seconds_ago,
           extract(epoch FROM coalesce(finished_at, now()) - started_at)::float8
               AS seconds,
           checkpoint IS NOT NULL AND started_at > now() - interval '1 day'
               AS has_checkpoint,
           report ->> 'reason' AS reason,
           coalesce((report ->> 'created')::bigint, 0) AS created,
           coalesce((report ->> 'updated')::bigint, 0) AS updated,
           coalesce((report ->> 'deleted')::bigint, 0) AS deleted,
           coalesce((report ->> 'held_back')::bigint, 0) AS held_back,
           coalesce((report ->> 'failed')::bigint, 0)
           + coalesce((report ->> 'deletions_blocked')::bigint, 0) AS failed
    FROM {runs}
    WHERE {condition}
    ORDER BY started_at DESC
    LIMIT {limit}
"""
_EMAIL_TAKEN: Final = "email taken"
_ONE_SNAPSHOT: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
_LAST: Final = (sql.SQL("true"), 8)
_LAST_FULL: Final = (
    sql.SQL("mode = 'full' AND status = 'completed' AND NOT dry_run"),
    1,
)


@dataclass(frozen=True, slots=True)
class RunShown:
    """A run of the ledger. Times are of the database's clock."""

    run_id: UUID
    mode: str
    status: str
    dry_run: bool
    started_at: datetime
    seconds_ago: float
    seconds: float
    """How long it took, or has been running."""
    has_checkpoint: bool
    """Another run can go on with it."""
    reason: str | None
    created: int
    updated: int
    deleted: int
    held_back: int
    """Users whose email an unmanaged row holds."""
    failed: int
    """Users that could not be written or deleted."""

    @property
    def drift(self) -> int:
        """How many users it put right."""
        return self.created + self.updated + self.deleted


@dataclass(slots=True)
class Status:
    users: int
    """In the table: rows with a Clerk id that are not deleted."""
    soft_deleted: int
    other_keys: int
    """Rows whose key is no Clerk id: the application's own."""
    unlinked: int
    """Of them, rows with an email and an empty key: `clerksync link` may link them."""
    never_synced: int
    """Rows with a Clerk id that no door has written."""
    tombstones: int
    skipped: dict[str, int]
    """Users of Clerk who get no row, by the reason."""
    runs: list[RunShown]
    last_full_run: RunShown | None
    clerk_users: int | None = None
    clerk_error: str | None = None
    """Why Clerk could not be asked."""
    drift: int | None = None
    """Users that are missing in the table, or there without an email that an unmanaged
    row holds; below zero, of whom it has too many."""

    def as_json(self) -> dict[str, Any]:
        """With all that programs need: times in ISO 8601, lengths in seconds."""
        whole = asdict(self)
        for run in [*whole["runs"], whole["last_full_run"]]:
            if run is not None:
                run |= {
                    "run_id": str(run["run_id"]),
                    "started_at": run["started_at"].isoformat(),
                }
        return whole


def look(settings: Settings, database: Database) -> Status:
    """Count on both sides. Raises what the database raises; that Clerk cannot be asked
    is told in the status."""
    status = database.run(lambda connection: _in_database(connection, settings))
    try:
        clerk = clerk_client(settings, INTERACTIVE)
        in_a_day = int(time.time() * 1000) + _DAY_MS
        status.clerk_users = clerk.count(created_before=in_a_day)
    except (ClerkRequestError, ClerkUnavailableError, MissingSettingError) as error:
        status.clerk_error = str(error)
    else:
        # A user whose email another row holds has no row, and should have one.
        skipped = (n for why, n in status.skipped.items() if why != _EMAIL_TAKEN)
        expected = status.clerk_users - sum(skipped)
        status.drift = expected - status.users + _without_email(status)
    return status


def _without_email(status: Status) -> int:
    """Users who have a row, but whose email an unmanaged row holds."""
    held_back = status.last_full_run.held_back if status.last_full_run else 0
    return max(0, held_back - status.skipped.get(_EMAIL_TAKEN, 0))


def _in_database(connection: psycopg.Connection, settings: Settings) -> Status:
    names = identifiers(settings.mapping, settings.schema)

    def ask(query: LiteralString, **more: Any) -> list[dict[str, Any]]:
        composed = sql.SQL(query).format(**names, **more)
        # In text, extra_float_digits would decide how much of a number is seen.
        with connection.cursor(binary=True, row_factory=dict_row) as cursor:
            return cursor.execute(composed).fetchall()

    def runs(condition: sql.SQL, limit: int) -> list[RunShown]:
        found = ask(_RUNS, condition=condition, limit=sql.Literal(limit))
        return [RunShown(**run) for run in found]

    with connection.transaction():
        connection.execute(_ONE_SNAPSHOT)
        skipped = {row["reason"]: row["users"] for row in ask(_SKIPPED)}
        return Status(
            **ask(_TABLE)[0],
            **ask(_TOMBSTONES)[0],
            skipped=skipped,
            runs=runs(*_LAST),
            last_full_run=next(iter(runs(*_LAST_FULL)), None),
        )


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
        until = "until that row is linked" if reason == _EMAIL_TAKEN else ""
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
        status = "dry run" if run.dry_run and run.status == "completed" else run.status
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
            f"{status.unlinked:,} rows have an email and no Clerk ID: run clerksync "
            "link to see whose they are."
        )
    if status.last_full_run is None:
        yield "No full run has been completed yet: run clerksync sync."
    else:
        run = status.last_full_run
        yield (
            f"The last complete full run was {span(run.seconds_ago)} ago, and put "
            f"{run.drift:,} users right."
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
        yield f"The last run ended {newest.status}: {newest.reason}"
    if status.clerk_error:
        yield status.clerk_error
