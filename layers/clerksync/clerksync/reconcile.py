"""Bulk sync: make the table equal to Clerk, and find what the other doors missed."""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

from clerksync.bulk_run import BulkSyncRequest, Report, ms_since
from clerksync.bulk_writer import CLERK_ERRORS, BulkWriter
from clerksync.clerk_api import ClerkApi
from clerksync.database import Database
from clerksync.errors import OutOfTimeError
from clerksync.fetch import fetch_pages, fetch_windows
from clerksync.listing import updated_pages
from clerksync.observability import logger
from clerksync.orphan_sweep import (
    Sweep,
    delete_orphans,
    restore_companions,
    sweep_orphans,
)
from clerksync.rate_limiter import limit_of
from clerksync.run_ledger import RunLedger
from clerksync.settings import Settings
from clerksync.user_table import UserTable
from clerksync.windows import Windows

Progress = Callable[[str, int, int], None]
"""Told of a phase (fetch, sweep), how many are done, and how many there are."""

# Clerk's clock against the database's, and events on their way when a run began.
_OVERLAP: Final = timedelta(minutes=10)
# So much is lost, at most, when a run is killed.
_CHECKPOINT_SECONDS: Final = 30


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
        self._workers = settings.workers
        self._rate_limit = settings.clerk_rate_limit
        self._database = database
        self._all_runs_clerk = clerk
        self._progress = progress
        self._users = UserTable.from_settings(database, settings)
        self._ledger = RunLedger(database, settings.schema)

    def run(self, request: BulkSyncRequest, *, deadline: float = math.inf) -> Report:
        """Do what was asked for, and record it in the ledger.

        At the `deadline` (of time.monotonic()) it stops, and the next run of the same
        mode goes on from there; the same after an error. What goes wrong at Clerk ends
        in the report, as failed or partial. Raises what the database raises: without
        it there is no ledger to tell.
        """
        self._began, self._request = time.monotonic(), request
        self._clerk = self._all_runs_clerk.for_run(deadline)
        self._windows: Windows | None = None
        self._failed_before = 0
        self._run = self._ledger.begin(request.mode, dry_run=request.dry_run)
        self._report = Report(self._run.run_id, request.mode, dry_run=request.dry_run)
        logger.append_keys(run_id=str(self._run.run_id))
        try:
            self._dispatch()
        except CLERK_ERRORS as error:
            out_of_time = isinstance(error, OutOfTimeError)
            checkpoint = self._checkpoint(sweep_too=out_of_time)
            seen = self._report.fetched or checkpoint
            self._report.fall_short("partial" if seen else "failed", str(error))
            self._report.out_of_time = out_of_time and checkpoint is not None
            self._finish(checkpoint)
        except BaseException as error:  # Ctrl-C too: the ledger shall not say running
            self._report.fall_short("failed", f"{type(error).__name__}, see the log.")
            with suppress(Exception):  # the database may be what is gone
                self._finish(self._checkpoint(sweep_too=False))
            raise
        else:
            self._finish(None)
        return self._report

    def _finish(self, checkpoint: dict[str, Any] | None) -> None:
        report = self._report
        if failed := report.failed + self._failed_before:
            reason = f"{failed} users could not be written, see the log."
            report.fall_short("partial", reason)
        if checkpoint is not None:
            report.fall_short("partial", "The next run goes on from there.")
        if self._windows is not None:
            report.windows = len(list(self._windows))
        if report.fetch_ms:
            report.users_per_second = report.fetched * 1000 // report.fetch_ms
        report.requests = self._clerk.requests
        report.duration_ms = ms_since(self._began)
        self._ledger.finish(self._run, report.status, report.as_json(), checkpoint)

    def _checkpoint(self, *, sweep_too: bool) -> dict[str, Any] | None:
        """Where the walk stands, if there is anything to go on from.

        A sweep that failed is no reason to go on with that alone: it might fail again
        and again, and nobody would walk.
        """
        if self._windows is None or self._request.dry_run:
            return None
        windows = self._windows.as_json()
        if not any("reached" in window or "done" in window for window in windows):
            return None
        if not sweep_too and all("done" in window for window in windows):
            return None
        failed = self._report.failed + self._failed_before
        return {"expected": self._expected, "failed": failed, "windows": windows}

    def _dispatch(self) -> None:
        instance = self._clerk.instance()
        self._clerk.rate_limiter.set_limit(
            self._rate_limit or limit_of(is_production=instance.is_production)
        )
        if not self._is_accepted(instance.id):
            return
        if self._request.mode == "user" and self._request.user_id is not None:
            self._sync_user(self._request.user_id)
            return
        watermark = None
        if self._request.mode == "incremental":
            watermark = self._ledger.watermark(instance.id)
        if watermark is None:
            self._walk_everything(instance.id)
        else:
            self._walk_changes(since=_unix_ms(watermark - _OVERLAP))

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

    def _walk_changes(self, *, since: int) -> None:
        writer = self._writer()
        self._report.plan_ms = ms_since(self._began)
        pages = updated_pages(self._clerk, since=since)
        writer.consume(
            fetch_pages(self._clerk, pages, writer.prepare),
            progress=lambda fetched: self._progress("fetch", fetched, fetched),
        )

    def _walk_everything(self, instance: str) -> None:
        windows = self._take_over(instance)
        if windows is None and self._request.continuation:
            gone = "There is nothing to go on with: another run has done so."
            self._report.fall_short("partial", gone)
            return
        if windows is None:
            end = self._created_before()
            self._expected = self._clerk.count(created_before=end)
            windows = Windows.until(end, to_come=self._expected)
        self._windows, writer = windows, self._writer()
        self._report.plan_ms = ms_since(self._began)
        known = self._ledger.count_listed(self._run)
        kept_at = time.monotonic()

        def progress(fetched: int) -> None:
            nonlocal kept_at
            seen = known + fetched
            self._progress("fetch", seen, max(self._expected, seen))
            if time.monotonic() - kept_at > _CHECKPOINT_SECONDS:
                kept_at = time.monotonic()
                if checkpoint := self._checkpoint(sweep_too=True):
                    self._ledger.keep_checkpoint(self._run, checkpoint)

        writer.consume(
            fetch_windows(self._clerk, windows, writer.prepare, workers=self._workers),
            progress=progress,
        )
        # Who was there from beginning to end is in both counts, and must be listed.
        now = self._clerk.count(created_before=self._created_before())
        listed = self._ledger.count_listed(self._run)
        if listed < min(self._expected, now):
            short = f"Clerk counts {now} users and listed {listed}. Run again."
            self._report.fall_short("partial", short)
        elif self._request.mode != "incremental":
            self._sweep(listed)

    def _take_over(self, instance: str) -> Windows | None:
        """The windows of a walk that another run has left unfinished."""
        if self._request.dry_run:
            return None
        taken_over = self._ledger.take_over(
            self._run, mode=self._request.mode, instance_id=instance
        )
        if taken_over is None:
            return None
        self._run, checkpoint = taken_over
        self._report.continues = self._run.walk_id
        self._expected = checkpoint["expected"]
        self._failed_before = checkpoint["failed"]
        to_come = self._expected - self._ledger.count_listed(self._run)
        return Windows.from_json(checkpoint["windows"], to_come=to_come)

    def _created_before(self) -> int:
        """Until the walk began, and that millisecond too. Unix ms."""
        return _unix_ms(self._run.walk_began_at) + 1

    def _writer(self) -> BulkWriter:
        return BulkWriter(
            users=self._users,
            ledger=self._ledger,
            clerk=self._clerk,
            run=self._run,
            request=self._request,
            report=self._report,
        )

    def _sync_user(self, clerk_id: str) -> None:
        confirmed_at = self._users.clock()
        user = self._clerk.user(clerk_id)
        if user is not None:
            self._report.fetched = 1
            tombstoned = self._writer().upsert([user], confirmed_at=confirmed_at)
            self._report.skipped += len(tombstoned)
            return
        self._report.reason = "Clerk does not know this user."
        sweep = Sweep(orphans=1 if self._users.find(clerk_id) else 0)
        if not self._request.dry_run:
            delete_orphans([clerk_id], sweep, self._users)
        self._tell(sweep)

    def _sweep(self, listed: int) -> None:
        began, sweep = time.monotonic(), Sweep()
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
            self._report.sweep_ms = ms_since(began)
        if not self._request.dry_run:
            restore_companions(self._database, self._users)
            self._report.write_ms += ms_since(began) - self._report.sweep_ms

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


def _unix_ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
