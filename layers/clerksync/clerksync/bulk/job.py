"""What every step of a run needs to know, and does not change."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

import psycopg

from clerksync.bulk.request import BulkSyncRequest
from clerksync.bulk.run_ledger import RunLedger
from clerksync.clerk.api import ClerkApi
from clerksync.errors import (
    ClerkRequestError,
    ClerkUnavailableError,
    InvalidPayloadError,
    OtherInstanceError,
    OutOfTimeError,
    StuckListingError,
    UnreadableUserError,
)
from clerksync.mapping.table import TableMapping
from clerksync.postgres.database import Database
from clerksync.settings.environment import Settings
from clerksync.write.email_rule import EmailRule
from clerksync.write.outcome import Change, Outcome
from clerksync.write.user_batches import UserBatches

Progress = Callable[[str, int, int], None]
"""Called with a phase (fetch, sweep), how many are done, and how many there are."""
OnChange = Callable[[Change], None]
"""Called by a dry run with each change that a real run would make."""

# What may end a run early, with everything that was fetched before still good.
CLERK_ERRORS: Final = (
    ClerkRequestError,
    ClerkUnavailableError,
    InvalidPayloadError,
    OtherInstanceError,
    OutOfTimeError,
    StuckListingError,
    UnreadableUserError,
)


def ignore(_phase: str, _done: int, _total: int) -> None:
    """Progress that nobody looks at."""


def ignore_change(_change: Change) -> None:
    """A change that nobody looks at."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What all runs of a function have in common."""

    database: Database
    users: UserBatches
    ledger: RunLedger
    only_instance: str | None
    max_orphan_ratio: float
    workers: int
    rate_limit: int | None
    """Requests in 10 seconds; None: by the kind of instance."""
    progress: Progress
    on_change: OnChange = ignore_change

    @classmethod
    def of(
        cls,
        settings: Settings,
        database: Database,
        progress: Progress = ignore,
        on_change: OnChange = ignore_change,
    ) -> Self:
        """Raises InvalidSettingError here, not in the middle of a run."""
        users = UserBatches.from_settings(database, settings)
        users.read_rule = _read_rule
        return cls(
            database=database,
            users=users,
            ledger=RunLedger(database, settings.schema),
            only_instance=settings.instance_id,
            max_orphan_ratio=settings.max_orphan_ratio,
            workers=settings.workers,
            rate_limit=settings.clerk_rate_limit,
            progress=progress,
            on_change=on_change,
        )


def _read_rule(
    connection: psycopg.Connection, mapping: TableMapping, schema: str
) -> EmailRule | None:
    # Imported here, because few runs need it.
    from clerksync.schema.email_fit import email_rule  # noqa: PLC0415 - see above

    return email_rule(connection, mapping, schema)


@dataclass(frozen=True, slots=True)
class Job:
    """One run, or one step of a distributed run."""

    setup: Setup
    clerk: ClerkApi
    """Its own: with a deadline, a count of requests, and the key that it began with."""
    users: UserBatches
    request: BulkSyncRequest
    began: float
    """Of `time.monotonic()`."""

    @classmethod
    def of(cls, setup: Setup, clerk: ClerkApi, request: BulkSyncRequest) -> Self:
        users = setup.users.for_run(clerk.users_by_id, deadline=clerk.deadline)
        return cls(setup, clerk, users, request, time.monotonic())

    def note(self, outcome: Outcome) -> None:
        """Hand on the changes that a dry run has found."""
        for change in outcome.changes:
            self.setup.on_change(change)
