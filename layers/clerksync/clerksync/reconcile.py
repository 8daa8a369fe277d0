"""Bulk sync: make the table equal to Clerk, and find what the other doors missed."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Final

from clerksync.bulk_run import BulkSyncRequest, Report
from clerksync.clerk_api import IDS_LIMIT, ClerkApi, Page
from clerksync.clerk_user import ClerkUser
from clerksync.database import Database
from clerksync.errors import (
    ClerkRequestError,
    ClerkUnavailableError,
    InvalidPayloadError,
)
from clerksync.listing import created_pages, updated_pages
from clerksync.observability import logger
from clerksync.orphan_sweep import restore_companions, sweep_orphans
from clerksync.run_ledger import Run, RunLedger
from clerksync.settings import Settings
from clerksync.user_table import UserTable

Progress = Callable[[str, int, int], None]
"""Told of a phase (fetch, sweep), how many are done, and how many there are."""

_CLERK_ERRORS: Final = (ClerkUnavailableError, ClerkRequestError, InvalidPayloadError)
# Large enough that planning and committing do not count, small enough for memory.
_BATCH: Final = 10_000
# Clerk's clock against the database's, and events on their way when a run began.
_OVERLAP: Final = timedelta(minutes=10)


def ignore(_phase: str, _done: int, _total: int) -> None:
    """Progress that nobody looks at."""


class BulkSync:
    """Bulk runs of one table against one instance. One run at a time per object."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clerk: ClerkApi,
        progress: Progress = ignore,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clerk = clerk
        self._progress = progress
        self._users = UserTable.from_settings(database, settings)
        self._ledger = RunLedger(database, settings.schema)

    def run(self, request: BulkSyncRequest) -> Report:
        """Do what was asked for, and record it in the ledger.

        What goes wrong at Clerk ends in the report, as failed or partial. Raises what
        the database raises: without it there is no ledger to tell.
        """
        began, requests = time.monotonic(), self._clerk.requests
        run = self._ledger.begin(request.mode, dry_run=request.dry_run)
        report = Report(run.run_id, request.mode, dry_run=request.dry_run)
        logger.append_keys(run_id=str(run.run_id))
        try:
            if self._is_accepted(run, request, report):
                self._dispatch(run, request, report)
        except _CLERK_ERRORS as error:
            report.fall_short("partial" if report.fetched else "failed", str(error))
        except Exception as error:
            report.fall_short("failed", f"{type(error).__name__}, see the log.")
            with suppress(Exception):  # the database may be what is gone
                self._ledger.finish(run, report.status, report.as_json())
            raise
        report.requests = self._clerk.requests - requests
        report.duration_ms = round((time.monotonic() - began) * 1000)
        self._ledger.finish(run, report.status, report.as_json())
        return report

    def _is_accepted(self, run: Run, request: BulkSyncRequest, report: Report) -> bool:
        """Whether the key's instance is the one whose users the table holds."""
        instance = self._clerk.instance_id()
        accepted = self._settings.instance_id or self._ledger.accepted_instance()
        if accepted not in {None, instance} and not request.force:
            report.fall_short(
                "refused",
                f"CLERK_SECRET_KEY belongs to instance {instance}, the table to "
                f"{accepted}. Nothing was written. To change instances, use force.",
            )
            return False
        if not request.dry_run:
            self._ledger.accept_instance(run, instance)
        return True

    def _dispatch(self, run: Run, request: BulkSyncRequest, report: Report) -> None:
        if request.mode == "user" and request.user_id is not None:
            self._sync_user(request.user_id, request, report)
            return
        watermark = self._ledger.watermark() if request.mode == "incremental" else None
        if watermark is not None:
            pages = updated_pages(self._clerk, since=watermark - _OVERLAP)
            self._apply(run, pages, request, report)
            self._mind_failures(report)
            return
        # Until the run began, and that millisecond too.
        created_before = run.started_at + timedelta(milliseconds=1)
        expected = self._clerk.count(created_before=created_before)
        pages = created_pages(self._clerk, created_before=created_before)
        self._apply(run, pages, request, report, expected=expected)
        # Who was there from beginning to end is in both counts, and must be listed.
        expected = min(expected, self._clerk.count(created_before=created_before))
        listed = self._ledger.count_listed(run)
        if listed < expected:
            reason = f"Clerk counts {expected} users and listed {listed}. Run again."
            report.fall_short("partial", reason)
            return
        self._mind_failures(report)
        if request.mode != "incremental":
            self._sweep(run, request, report, listed=listed)

    def _apply(
        self,
        run: Run,
        pages: Iterator[Page],
        request: BulkSyncRequest,
        report: Report,
        *,
        expected: int = 0,
    ) -> None:
        """Note every id of the listing and, unless cleaning up, write the users.

        A listing that breaks off raises, after what it gave has been written.
        """
        ids: list[str] = []
        users: list[ClerkUser] = []
        broken_off: Exception | None = None
        try:
            for page in pages:
                report.fetched += len(page)
                ids += page.ids
                if request.mode != "cleanup":
                    users += page.users
                    report.failed += len(page.undecodable)
                if len(ids) >= _BATCH:
                    batch, ids, users = (ids, users), [], []
                    self._write(run, *batch, request, report)
                self._progress("fetch", report.fetched, max(expected, report.fetched))
        except _CLERK_ERRORS as error:
            broken_off = error
        self._write(run, ids, users, request, report)
        if broken_off is not None:
            raise broken_off

    def _write(
        self,
        run: Run,
        ids: list[str],
        users: list[ClerkUser],
        request: BulkSyncRequest,
        report: Report,
    ) -> None:
        self._ledger.record_listed(run, ids)
        outcome = self._users.upsert_many(users, dry_run=request.dry_run)
        for clerk_id in outcome.failed:
            logger.error("user not written", clerk_id=clerk_id)
        tombstoned, outcome.tombstoned = outcome.tombstoned, []
        report.add(outcome)
        for start in range(0, len(tombstoned), IDS_LIMIT):
            self._confirm(tombstoned[start : start + IDS_LIMIT], request, report)

    def _confirm(
        self, clerk_ids: list[str], request: BulkSyncRequest, report: Report
    ) -> None:
        """Listed, and deleted here: only Clerk's answer by id, asked now, counts."""
        confirmed_at = self._users.clock()
        known = self._clerk.users_by_id(clerk_ids)
        report.skipped += len(clerk_ids) - len(known)
        report.add(
            self._users.upsert_many(
                known, confirmed_at=confirmed_at, dry_run=request.dry_run
            )
        )

    def _sync_user(
        self, clerk_id: str, request: BulkSyncRequest, report: Report
    ) -> None:
        confirmed_at = self._users.clock()
        user = self._clerk.user(clerk_id)
        if user is not None:
            report.fetched = 1
            outcome = self._users.upsert_many(
                [user], confirmed_at=confirmed_at, dry_run=request.dry_run
            )
            report.add(outcome)
        elif not request.dry_run:
            report.deleted = self._users.delete([clerk_id])
        self._mind_failures(report)

    def _sweep(
        self, run: Run, request: BulkSyncRequest, report: Report, *, listed: int
    ) -> None:
        ratio = self._settings.max_orphan_ratio
        sweep = sweep_orphans(
            run,
            database=self._database,
            users=self._users,
            clerk=self._clerk,
            listed=listed,
            max_ratio=ratio,
            force=request.force,
            dry_run=request.dry_run,
            progress=lambda done, total: self._progress("sweep", done, total),
        )
        report.fetched += sweep.missed_count
        report.add(sweep.missed)
        report.orphans_found = sweep.candidates if sweep.refused else sweep.orphans
        report.deleted = sweep.deleted
        if sweep.refused:
            report.fall_short(
                "refused",
                f"{sweep.candidates} of {sweep.table_size} users are not in Clerk's "
                f"listing, more than the share of {ratio:g} that a run may delete. "
                "None was deleted. If they are really gone, use force.",
            )
        elif sweep.failed:
            reason = f"{len(sweep.failed)} users could not be deleted, see the log."
            report.fall_short("partial", reason)
        if not request.dry_run:
            restore_companions(self._database, self._users)

    def _mind_failures(self, report: Report) -> None:
        if report.failed:
            reason = f"{report.failed} users could not be written, see the log."
            report.fall_short("partial", reason)
