"""The steps of a bulk run, for whoever puts them in order: one function for all of
them (reconcile.py), or many that share one run (distributed_run.py)."""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

from clerksync.bulk.orphan_sweep import (
    Sweep,
    forget_skipped,
    note_unknown,
    sweep_orphans,
)
from clerksync.bulk.report import BulkSyncRequest, Progress, Report, ignore, ms_since
from clerksync.bulk.run_ledger import Run, RunLedger
from clerksync.bulk.walk import BulkWriter
from clerksync.clerk.api import ClerkApi
from clerksync.clerk.rate_limit import limit_of
from clerksync.errors import UNBLOCK
from clerksync.postgres.database import Database
from clerksync.settings.environment import Settings
from clerksync.write.companions import restore_companions
from clerksync.write.user_table import UserTable

_OBSTACLES_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class BulkSetup:
    """What all runs of a function have in common."""

    database: Database
    users: UserTable
    ledger: RunLedger
    only_instance: str | None
    max_orphan_ratio: float
    workers: int
    rate_limit: int | None
    progress: Progress

    @classmethod
    def of(
        cls, settings: Settings, database: Database, progress: Progress = ignore
    ) -> Self:
        """Raises InvalidSettingError here, not in the middle of a run."""
        return cls(
            database=database,
            users=UserTable.from_settings(database, settings),
            ledger=RunLedger(database, settings.schema),
            only_instance=settings.instance_id,
            max_orphan_ratio=settings.max_orphan_ratio,
            workers=settings.workers,
            rate_limit=settings.clerk_rate_limit,
            progress=progress,
        )


class BulkSteps:
    """Each step does its part of the run and tells it in the report."""

    def __init__(
        self,
        setup: BulkSetup,
        clerk: ClerkApi,
        *,
        run: Run,
        request: BulkSyncRequest,
        report: Report,
    ) -> None:
        self._setup = setup
        self.clerk = clerk
        self.users = setup.users.asking(clerk.users_by_id)
        self.run = run
        self.request = request
        self.report = report
        self.began = time.monotonic()
        self.failed_before = 0
        """Users whom earlier runs of this walk could not write."""
        self.requests_elsewhere = 0
        """What others have asked Clerk for this run."""
        self.rate_limit = 0

    def ask_instance(self) -> str:
        """Whose users the key shows; from then on its rate limit is kept."""
        instance = self.clerk.instance()
        self.rate_limit = self._setup.rate_limit or limit_of(
            is_production=instance.is_production
        )
        self.clerk.rate_limiter.set_limit(self.rate_limit)
        return instance.id

    def is_accepted(self, instance: str) -> bool:
        """Whether it is the instance whose users the table holds."""
        ledger = self._setup.ledger
        owners = {self._setup.only_instance, ledger.accepted_instance()}
        if owners <= {None, instance} or self.request.force:
            if not self.request.dry_run:
                ledger.accept_instance(self.run, instance)
            return True
        others = " or ".join(sorted(o for o in owners if o not in {None, instance}))
        self.report.fall_short(
            "refused",
            f"CLERK_SECRET_KEY belongs to instance {instance}, the table to {others}. "
            "Nothing was written. To change instances use force, which also lets a "
            "full run delete every user of the old one.",
        )
        return False

    def created_before(self) -> int:
        """Until the walk began, and that millisecond too. Unix ms."""
        return unix_ms(self.run.walk_began_at) + 1

    def count(self) -> int:
        """How many users Clerk has now, of those created before the walk began."""
        return self.clerk.count(created_before=self.created_before())

    def writer(self) -> BulkWriter:
        return BulkWriter(
            users=self.users,
            ledger=self._setup.ledger,
            clerk=self.clerk,
            run=self.run,
            request=self.request,
            report=self.report,
        )

    def close_walk(self, expected: int) -> None:
        """Judge whether the listing is complete, and sweep only if it is.

        `expected` was counted before the walk. Who was there from beginning to end is
        in both counts, and must be listed.
        """
        now = self.count()
        listed = self._setup.ledger.count_listed(self.run)
        if listed < min(expected, now):
            short = f"Clerk counts {now} users and listed {listed}. Run again."
            self.report.fall_short("partial", short)
        elif self.request.mode != "incremental":
            self._sweep(listed)

    def _sweep(self, listed: int) -> None:
        setup, report, began, sweep = (
            self._setup,
            self.report,
            time.monotonic(),
            Sweep(),
        )
        try:
            sweep_orphans(
                self.run,
                sweep,
                database=setup.database,
                users=self.users,
                clerk=self.clerk,
                listed=listed,
                max_ratio=setup.max_orphan_ratio,
                force=self.request.force,
                dry_run=self.request.dry_run,
                progress=lambda done, total: setup.progress("sweep", done, total),
            )
        finally:
            self.tell(sweep)
            report.sweep_ms = ms_since(began)
        if not self.request.dry_run:
            restore_companions(setup.database, setup.users)
            note_unknown(setup.database, setup.users)
            if not sweep.refused:
                forget_skipped(
                    self.run,
                    database=setup.database,
                    users=self.users,
                    clerk=self.clerk,
                )
            report.write_ms += ms_since(began) - report.sweep_ms

    def tell(self, sweep: Sweep) -> None:
        """Take what a sweep did into the report."""
        report = self.report
        report.fetched += sweep.missed_count
        report.add(sweep.missed)
        report.skipped += len(sweep.missed.tombstoned)
        report.orphans_found = sweep.candidates if sweep.refused else sweep.orphans
        report.deleted += sweep.deleted
        report.prove_ms = sweep.prove_ms
        if sweep.refused:
            report.fall_short(
                "refused",
                f"{sweep.candidates} of {sweep.table_size} users are not in Clerk's "
                "listing, more than the share of "
                f"{self._setup.max_orphan_ratio:g} that a "
                "run may delete. None was deleted. If they are really gone, use force.",
            )
        report.deletions_blocked = sweep.blocked
        if sweep.blocked:
            named = ", ".join(sorted(sweep.obstacles)[:_OBSTACLES_NAMED])
            report.fall_short(
                "partial",
                f"{sweep.blocked} users could not be deleted: blocked by {named}. "
                f"{UNBLOCK} The log names the users.",
            )

    def finish(self, checkpoint: dict[str, Any] | None = None) -> None:
        """Round the report off, and record it."""
        report = self.report
        if failed := report.failed + self.failed_before:
            reason = f"{failed} users could not be written, see the log."
            report.fall_short("partial", reason)
        if report.email_conflicts and self._setup.users.mapping.email_not_null:
            report.explain(
                f"{report.email_conflicts} users are without their email, or without "
                "a row, because another row holds the email: see the log."
            )
        if checkpoint is not None:
            report.fall_short("partial", "The next run goes on from there.")
        if report.fetch_ms:
            report.users_per_second = report.fetched * 1000 // report.fetch_ms
        report.requests = self.requests_elsewhere + self.clerk.requests
        report.duration_ms = ms_since(self.began)
        self._setup.ledger.finish(self.run, report.status, report.as_json(), checkpoint)


def unix_ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
