"""Bulk sync: make the table equal to Clerk, and find what the other doors missed."""

import math
import time
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from clerksync.bulk.fetch import fetch_pages, fetch_windows
from clerksync.bulk.listing import updated_pages
from clerksync.bulk.orphan_sweep import Sweep, delete_orphans
from clerksync.bulk.report import BulkSyncRequest, Progress, Report, ignore, ms_since
from clerksync.bulk.steps import BulkSetup, BulkSteps, unix_ms
from clerksync.bulk.walk import CLERK_ERRORS
from clerksync.bulk.windows import Windows
from clerksync.clerk.api import ClerkApi
from clerksync.errors import OutOfTimeError
from clerksync.observability import logger
from clerksync.postgres.database import Database
from clerksync.settings.environment import Settings

# Clerk's clock against the database's, and events on their way when a run began.
_OVERLAP: Final = timedelta(minutes=10)
# So much is lost, at most, when a run is killed.
_CHECKPOINT_SECONDS: Final = 30


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
        self._setup = BulkSetup.of(settings, database, progress)
        self._all_runs_clerk = clerk
        self._progress = progress
        self._ledger = self._setup.ledger

    def run(self, request: BulkSyncRequest, *, deadline: float = math.inf) -> Report:
        """Do what was asked for, and record it in the ledger.

        At the `deadline` (of time.monotonic()) it stops, and the next run of the same
        mode goes on from there; the same after an error. What goes wrong at Clerk ends
        in the report, as failed or partial. Raises what the database raises: without
        it there is no ledger to tell.
        """
        self._request = request
        self._clerk = self._all_runs_clerk.for_run(deadline)
        self._windows: Windows | None = None
        run = self._ledger.begin(request.mode, dry_run=request.dry_run)
        self._report = Report(run.run_id, request.mode, dry_run=request.dry_run)
        self._steps = BulkSteps(
            self._setup, self._clerk, run=run, request=request, report=self._report
        )
        logger.append_keys(run_id=str(run.run_id))
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
        if self._windows is not None:
            self._report.windows = len(list(self._windows))
        self._steps.finish(checkpoint)

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
        failed = self._report.failed + self._steps.failed_before
        return {"expected": self._expected, "failed": failed, "windows": windows}

    def _dispatch(self) -> None:
        instance = self._steps.ask_instance()
        if not self._steps.is_accepted(instance):
            return
        if self._request.mode == "user" and self._request.user_id is not None:
            self._sync_user(self._request.user_id)
            return
        watermark = None
        if self._request.mode == "incremental":
            watermark = self._ledger.watermark(instance)
        if watermark is None:
            self._walk_everything(instance)
        else:
            self._walk_changes(since=unix_ms(watermark - _OVERLAP))

    def _walk_changes(self, *, since: int) -> None:
        writer = self._steps.writer()
        self._report.plan_ms = ms_since(self._steps.began)
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
            self._expected = self._steps.count()
            end = self._steps.created_before()
            windows = Windows.until(end, to_come=self._expected)
        self._windows, writer = windows, self._steps.writer()
        self._report.plan_ms = ms_since(self._steps.began)
        run = self._steps.run
        known = self._ledger.count_listed(run)
        kept_at = time.monotonic()

        def progress(fetched: int) -> None:
            nonlocal kept_at
            seen = known + fetched
            self._progress("fetch", seen, max(self._expected, seen))
            if time.monotonic() - kept_at > _CHECKPOINT_SECONDS:
                kept_at = time.monotonic()
                if checkpoint := self._checkpoint(sweep_too=True):
                    self._ledger.keep_checkpoint(run, checkpoint)

        writer.consume(
            fetch_windows(
                self._clerk, windows, writer.prepare, workers=self._setup.workers
            ),
            progress=progress,
        )
        self._steps.close_walk(self._expected)

    def _take_over(self, instance: str) -> Windows | None:
        """The windows of a walk that another run has left unfinished."""
        if self._request.dry_run:
            return None
        taken_over = self._ledger.take_over(
            self._steps.run, mode=self._request.mode, instance_id=instance
        )
        if taken_over is None:
            return None
        self._steps.run, checkpoint = taken_over
        self._report.continues = self._steps.run.walk_id
        self._expected = checkpoint["expected"]
        self._steps.failed_before = checkpoint["failed"]
        to_come = self._expected - self._ledger.count_listed(self._steps.run)
        return Windows.from_json(checkpoint["windows"], to_come=to_come)

    def _sync_user(self, clerk_id: str) -> None:
        confirmed_at = self._steps.users.clock()
        user = self._clerk.user(clerk_id)
        if user is not None:
            self._report.fetched = 1
            tombstoned = self._steps.writer().upsert([user], confirmed_at=confirmed_at)
            self._report.skipped += len(tombstoned)
            return
        self._report.reason = "Clerk does not know this user."
        sweep = Sweep(orphans=1 if self._steps.users.find(clerk_id) else 0)
        if not self._request.dry_run:
            # A webhook may have written the user since Clerk was asked.
            delete_orphans(
                [clerk_id],
                sweep,
                self._steps.users,
                unless_synced_since=confirmed_at,
            )
        self._steps.tell(sweep)
