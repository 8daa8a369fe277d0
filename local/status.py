"""`clerksync status`: Clerk, the table and the ledger side by side."""

import time
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

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

_DAY_MS: Final = 86_400_000

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
           + coalesce((report ->> 'deletions_blocked')::bigint, 0) AS failed,
           coalesce((report ->> 'deletions_blocked')::bigint, 0) AS deletions_blocked
    FROM {runs}
    WHERE {condition}
    ORDER BY started_at DESC
    LIMIT {limit}
"""
EMAIL_TAKEN: Final = "email taken"
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
    deletions_blocked: int
    """Of them, users whose row something in the database holds."""

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
        skipped = (n for why, n in status.skipped.items() if why != EMAIL_TAKEN)
        expected = status.clerk_users - sum(skipped)
        status.drift = expected - status.users + _without_email(status)
    return status


def _without_email(status: Status) -> int:
    """Users who have a row, but whose email an unmanaged row holds."""
    held_back = status.last_full_run.held_back if status.last_full_run else 0
    return max(0, held_back - status.skipped.get(EMAIL_TAKEN, 0))


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
