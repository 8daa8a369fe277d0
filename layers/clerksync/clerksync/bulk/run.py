"""A run of bulk sync, step by step: plan, walk, judge, sweep, report.

`BulkSync` takes all steps in one function; `distributed_run` takes the same ones in
many. Steps get values and return values. Only these two modules change the report.
"""

import math
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Final

from clerksync.bulk.changed_rows import (
    CHANGED_A_LOT,
    changed_since_checkpoint,
    look_again,
    most_looked_at,
)
from clerksync.bulk.instance import accept_instance
from clerksync.bulk.job import (
    Job,
    OnChange,
    Progress,
    Setup,
    ignore,
    ignore_change,
)
from clerksync.bulk.one_user import sync_one_user
from clerksync.bulk.orphan_sweep import sweep
from clerksync.bulk.plan_or_resume import plan_walk
from clerksync.bulk.report import Report, ms_since
from clerksync.bulk.request import BulkSyncRequest
from clerksync.bulk.run_end import Record
from clerksync.bulk.run_ledger import Run
from clerksync.bulk.walk import Walked, walk_changes, walk_windows
from clerksync.clerk.api import ClerkApi
from clerksync.postgres.database import Database
from clerksync.settings.environment import Settings

# Changes that Clerk's listing did not show yet when a run began.
_OVERLAP: Final = timedelta(minutes=10)
# So much is lost, at most, if a run is killed.
_CHECKPOINT_SECONDS: Final = 30
_NOTHING_TO_RESUME: Final = "There is nothing to go on with: another run has done so."


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
        on_change: OnChange = ignore_change,
    ) -> None:
        self._setup = Setup.of(settings, database, progress, on_change)
        self._clerk = clerk

    def run(self, request: BulkSyncRequest, *, deadline: float = math.inf) -> Report:
        """Do what was asked for, and record it in the ledger.

        At the `deadline` (of time.monotonic()) it stops, and the next run of the same
        mode resumes; the same after an error. What goes wrong at Clerk ends in the
        report, as failed or partial. Raises what the database raises: without it there
        is no ledger to write to.
        """
        job = Job.of(self._setup, self._clerk.for_run(deadline), request)
        run = self._setup.ledger.begin(request.mode, dry_run=request.dry_run)
        record = Record(job, run, began_at=run.walk_began_at)
        with record.kept():
            instance = accept_instance(job, run)
            record.compare_clocks()
            if request.user_id is not None and request.mode == "user":
                _sync_one_user(job, request.user_id, record.report)
            elif (since := _changes_since(job, instance.id)) is not None:
                _sync_changes(job, run, since, record.report)
            else:
                _sync_everything(job, run, instance.id, record)
        return record.report


def _sync_one_user(job: Job, clerk_id: str, report: Report) -> None:
    report.add(sync_one_user(job, clerk_id))
    if not report.fetched:
        report.explain("Clerk does not know this user.")


def _changes_since(job: Job, instance_id: str) -> int | None:
    """Where an incremental run begins, in Unix ms; None if it has to see everything."""
    if job.request.mode != "incremental":
        return None
    watermark = job.setup.ledger.watermark(instance_id)
    if watermark is None:
        return None
    return int((watermark - _OVERLAP).timestamp() * 1000)


def _sync_changes(job: Job, run: Run, since: int, report: Report) -> None:
    def after_batch() -> None:
        job.setup.progress("fetch", report.fetched, report.fetched)

    report.plan_ms = ms_since(job.began)
    take(walk_changes(job, run, since=since), report, after_batch)


def _sync_everything(job: Job, run: Run, instance_id: str, record: Record) -> None:
    report, walk = record.report, plan_walk(job, run, instance_id)
    if walk is None:
        report.fall_short("partial", _NOTHING_TO_RESUME)
        return
    record.walk = walk
    report.plan_ms = ms_since(job.began)
    kept_at = time.monotonic()

    def after_batch() -> None:
        nonlocal kept_at
        seen = walk.listed + report.fetched
        job.setup.progress("fetch", seen, max(walk.expected, seen))
        if time.monotonic() - kept_at > _CHECKPOINT_SECONDS:
            kept_at = time.monotonic()
            if checkpoint := record.checkpoint(sweep_too=True):
                job.setup.ledger.keep_checkpoint(walk.run, checkpoint)

    take(walk_windows(job, walk.run, walk.windows), report, after_batch)
    # A walk that left users out is not completed in any case, and they would fail again
    # and count twice.
    run = replace(walk.run, snapshot=None) if walk.failed else walk.run
    judge_and_sweep(job, run, walk.expected, walk.created_before, report)


def take(walked: Walked, report: Report, after_batch: Callable[[], None]) -> None:
    """Take a walk to its end, and count what became of each batch."""
    began = time.monotonic()
    try:
        with closing(walked):
            for counts in walked:
                report.add(counts)
                after_batch()
    finally:
        report.fetch_ms += ms_since(began)


def judge_and_sweep(
    job: Job, run: Run, expected: int, created_before: int, report: Report
) -> None:
    """Judge whether the listing is complete, and sweep only if it is.

    It holds users `created_before` a time of Clerk's clock (Unix ms), of whom
    `expected` were counted before the walk. A user who was there from the beginning to
    the end is in both counts, and must be listed.
    """
    now = job.clerk.count(created_before=created_before)
    listed = job.setup.ledger.count_listed(run)
    if listed < min(expected, now):
        short = f"Clerk counts {now} users and listed {listed}. Run again."
        report.fall_short("partial", short)
        return
    changed = changed_since_checkpoint(job, run)
    if len(changed) > most_looked_at(listed):
        report.fall_short("partial", CHANGED_A_LOT)
        return
    gone: list[str] = []
    for counts, unknown in look_again(job, changed):
        report.add(counts)
        gone += unknown
    if job.request.mode == "incremental":
        return
    began, written_before = time.monotonic(), report.write_ms
    try:
        for counts in sweep(
            job,
            run,
            listed=listed,
            created_before=created_before,
            gone=gone,
            losers=list(report.losers),
        ):
            report.add(counts)
    finally:
        report.sweep_ms = ms_since(began) - (report.write_ms - written_before)
