"""Bulk sync: make the table equal to Clerk, and find what the other doors missed."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from clerksync.bulk_run import BulkSyncRequest, Report
from clerksync.clerk_api import IDS_LIMIT, ClerkApi
from clerksync.clerk_user import ClerkUser, Page
from clerksync.database import Database
from clerksync.errors import (
    ClerkRequestError,
    ClerkUnavailableError,
    InvalidPayloadError,
)
from clerksync.listing import created_pages, updated_pages
from clerksync.observability import logger
from clerksync.orphan_sweep import (
    Sweep,
    delete_orphans,
    restore_companions,
    sweep_orphans,
)
from clerksync.run_ledger import RunLedger
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
    """Bulk runs of one table against one instance, one at a time.

    Raises InvalidSettingError when it is made, not in the middle of a run.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clerk: ClerkApi,
        progress: Progress = ignore,
    ) -> None:
        self._only_instance = settings.instance_id
        self._max_orphan_ratio = settings.max_orphan_ratio
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
        self._run, self._request, self._report = run, request, report
        logger.append_keys(run_id=str(run.run_id))
        try:
            self._dispatch()
        except _CLERK_ERRORS as error:
            report.fall_short("partial" if report.fetched else "failed", str(error))
        except BaseException as error:  # Ctrl-C too: the ledger shall not say running
            report.fall_short("failed", f"{type(error).__name__}, see the log.")
            with suppress(Exception):  # the database may be what is gone
                self._ledger.finish(run, report.status, report.as_json())
            raise
        if report.failed:
            reason = f"{report.failed} users could not be written, see the log."
            report.fall_short("partial", reason)
        report.requests = self._clerk.requests - requests
        report.duration_ms = round((time.monotonic() - began) * 1000)
        self._ledger.finish(run, report.status, report.as_json())
        return report

    def _dispatch(self) -> None:
        instance = self._clerk.instance_id()
        if not self._is_accepted(instance):
            return
        if self._request.mode == "user" and self._request.user_id is not None:
            self._sync_user(self._request.user_id)
            return
        watermark = None
        if self._request.mode == "incremental":
            watermark = self._ledger.watermark(instance)
        if watermark is None:
            self._walk_everything()
        else:
            since = watermark - _OVERLAP
            self._apply(updated_pages(self._clerk, since=since), expected=0)

    def _is_accepted(self, instance: str) -> bool:
        """Whether the key's instance is the one whose users the table holds."""
        owners = {self._only_instance, self._ledger.accepted_instance()}
        if owners <= {None, instance} or self._request.force:
            if not self._request.dry_run:
                self._ledger.accept_instance(self._run, instance)
            return True
        others = " or ".join(sorted(o for o in owners if o not in {None, instance}))
        self._report.fall_short(
            "refused",
            f"CLERK_SECRET_KEY belongs to instance {instance}, the table to {others}. "
            "Nothing was written. To change instances use force, which also lets a "
            "full run delete every user of the old one.",
        )
        return False

    def _walk_everything(self) -> None:
        # Until the run began, and that millisecond too.
        created_before = self._run.started_at + timedelta(milliseconds=1)
        expected = self._clerk.count(created_before=created_before)
        pages = created_pages(self._clerk, created_before=created_before)
        self._apply(pages, expected=expected)
        # Who was there from beginning to end is in both counts, and must be listed.
        expected = min(expected, self._clerk.count(created_before=created_before))
        listed = self._ledger.count_listed(self._run)
        if listed < expected:
            reason = f"Clerk counts {expected} users and listed {listed}. Run again."
            self._report.fall_short("partial", reason)
        elif self._request.mode != "incremental":
            self._sweep(listed)

    def _apply(self, pages: Iterator[Page], *, expected: int) -> None:
        """Note every id of the listing and, unless cleaning up, write the users.

        A listing that breaks off raises, after what it gave has been written.
        """
        report = self._report
        ids: list[str] = []
        users: list[ClerkUser] = []
        broken_off: Exception | None = None
        try:
            for page in pages:
                report.fetched += len(page)
                ids += page.ids
                if self._request.mode != "cleanup":
                    users += page.users
                    report.failed += page.undecodable
                if len(ids) >= _BATCH:
                    batch, ids, users = (ids, users), [], []
                    self._write(*batch)
                self._progress("fetch", report.fetched, max(expected, report.fetched))
        except _CLERK_ERRORS as error:
            broken_off = error
        self._write(ids, users)
        if broken_off is not None:
            raise broken_off

    def _write(self, ids: list[str], users: list[ClerkUser]) -> None:
        self._ledger.record_listed(self._run, ids)
        tombstoned = self._upsert(users)
        try:
            while tombstoned:
                self._confirm(tombstoned[:IDS_LIMIT])
                tombstoned = tombstoned[IDS_LIMIT:]
        finally:
            self._report.skipped += len(tombstoned)

    def _confirm(self, clerk_ids: list[str]) -> None:
        """Listed, and deleted here: only Clerk's answer by id, asked now, counts."""
        confirmed_at = self._users.clock()
        known = self._clerk.users_by_id(clerk_ids)
        still_deleted = self._upsert(known, confirmed_at=confirmed_at)
        self._report.skipped += len(clerk_ids) - len(known) + len(still_deleted)

    def _upsert(
        self, users: list[ClerkUser], *, confirmed_at: datetime | None = None
    ) -> list[str]:
        """Write and count; gives the ids that a tombstone kept out, uncounted."""
        outcome = self._users.upsert_many(
            users, confirmed_at=confirmed_at, dry_run=self._request.dry_run
        )
        self._report.add(outcome)
        return outcome.tombstoned

    def _sync_user(self, clerk_id: str) -> None:
        confirmed_at = self._users.clock()
        user = self._clerk.user(clerk_id)
        if user is not None:
            self._report.fetched = 1
            still_deleted = self._upsert([user], confirmed_at=confirmed_at)
            self._report.skipped += len(still_deleted)
            return
        self._report.reason = "Clerk does not know this user."
        sweep = Sweep(orphans=1 if self._users.find(clerk_id) else 0)
        if not self._request.dry_run:
            delete_orphans([clerk_id], sweep, self._users)
        self._tell(sweep)

    def _sweep(self, listed: int) -> None:
        sweep = Sweep()
        try:
            sweep_orphans(
                self._run,
                sweep,
                database=self._database,
                users=self._users,
                clerk=self._clerk,
                listed=listed,
                max_ratio=self._max_orphan_ratio,
                force=self._request.force,
                dry_run=self._request.dry_run,
                progress=lambda done, total: self._progress("sweep", done, total),
            )
        finally:
            self._tell(sweep)
        if not self._request.dry_run:
            restore_companions(self._database, self._users)

    def _tell(self, sweep: Sweep) -> None:
        """Take what a sweep did into the report."""
        report = self._report
        report.fetched += sweep.missed_count
        report.add(sweep.missed)
        report.skipped += len(sweep.missed.tombstoned)
        report.orphans_found = sweep.candidates if sweep.refused else sweep.orphans
        report.deleted = sweep.deleted
        if sweep.refused:
            report.fall_short(
                "refused",
                f"{sweep.candidates} of {sweep.table_size} users are not in Clerk's "
                f"listing, more than the share of {self._max_orphan_ratio:g} that a "
                "run may delete. None was deleted. If they are really gone, use force.",
            )
        if sweep.failed:
            reason = f"{len(sweep.failed)} users could not be deleted, see the log."
            report.fall_short("partial", reason)
