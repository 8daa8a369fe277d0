"""A run in many functions at once: plan, walk a part each, then judge, sweep, report.

statemachines/bulk_sync.asl.json puts the steps in order. What one step must tell the
next goes through the state machine and is small; what was listed goes through the
ledger.
Each step may be taken twice, as Lambda and Step Functions may do.
"""

import copy
from collections.abc import Sequence
from contextlib import closing
from typing import Any, Literal

from clerksync.bulk.clocks import end_of_listing
from clerksync.bulk.distributed_windows import plan_windows
from clerksync.bulk.instance import KeyOwner, accept_instance, check_instance
from clerksync.bulk.job import CLERK_ERRORS, Job, Setup
from clerksync.bulk.report import Counts, ms_since
from clerksync.bulk.request import BulkSyncRequest
from clerksync.bulk.run import judge_and_sweep
from clerksync.bulk.run_end import Record, log_run
from clerksync.bulk.run_ledger import Run
from clerksync.bulk.shared_run import Part, Planned, SharedRun
from clerksync.bulk.walk import walk_windows
from clerksync.bulk.windows import Windows
from clerksync.clerk.api import ClerkApi
from clerksync.errors import InvalidPayloadError, OutOfTimeError, StuckListingError
from clerksync.observability import logger
from clerksync.postgres.database import Database
from clerksync.settings.environment import Settings

ReportJson = dict[str, Any]


class DistributedRun:
    """The steps of full and cleanup runs, one for each invocation.

    Raises InvalidSettingError when it is made. Each step stops at the `deadline` of
    time.monotonic(), and raises what the database raises; it may then be taken again.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clerk: ClerkApi,
        *,
        deadline: float,
    ) -> None:
        self._setup = Setup.of(settings, database)
        self._clerk = clerk.for_run(deadline)

    def plan(self, request: BulkSyncRequest, *, at_once: int) -> Planned | ReportJson:
        """Begin a run, and cut its walk into parts; the report if it ends here.

        At most `at_once` parts may be walked at the same time. Raises
        InvalidPayloadError for a request that only one function can do.
        """
        if request.mode not in {"full", "cleanup"} or request.continuation:
            message = "The state machine does full and cleanup runs, from their begin."
            raise InvalidPayloadError(message)
        job = Job.of(self._setup, self._clerk, request)
        run = self._setup.ledger.begin(request.mode, dry_run=request.dry_run)
        record = Record(job, run, began_at=run.walk_began_at)
        with record.kept(goes_on=True):
            return self._planned(job, run, accept_instance(job, run), at_once)
        return _ended(record)

    def walk(self, shared: SharedRun, part: Part) -> Part:
        """Walk a part until its end or the deadline; returns how far it has come."""
        run, ended = self._find(shared)
        if ended is not None:
            return part.failed("The run has ended already.")
        logger.append_keys(run_id=str(run.run_id))
        job = Job.of(self._setup, self._clerk, shared.request)
        counts = copy.deepcopy(part.counts)
        to_come = max(0, part.users - counts.fetched)
        windows = Windows.from_json(part.windows, to_come=to_come)
        status: Literal["done", "unfinished", "failed"] = "done"
        reason, stuck = None, False
        try:
            check_instance(job, shared.instance_id)
            job.clerk.rate_limiter.set_limit(shared.rate_limit)
            with closing(walk_windows(job, run, windows)) as walked:
                for written in walked:
                    counts.add(written)
        except CLERK_ERRORS as error:
            # A part that had all of Lambda's time and saw nobody would never end.
            advanced = counts.fetched > part.counts.fetched
            goes_on = isinstance(error, OutOfTimeError) and advanced
            status, reason = "unfinished" if goes_on else "failed", str(error)
            stuck = isinstance(error, StuckListingError)
        left = [window for window in windows.as_json() if "done" not in window]
        counts.windows += len(list(windows)) - len(left)
        counts.requests += job.clerk.requests
        logger.info("window ended", status=status, counts=counts.as_json())
        return Part(
            status=status,
            reason=reason,
            stuck=stuck,
            windows=left,
            users=part.users,
            counts=counts,
        )

    def finish(self, shared: SharedRun, parts: Sequence[Part]) -> ReportJson:
        """Judge the walk, sweep if it is complete, and return the report."""
        run, ended = self._find(shared)
        if ended is not None:
            return ended
        job = Job.of(self._setup, self._clerk, shared.request)
        now = job.users.clock()
        record = Record(job, run, _sum_of(shared, parts), began_at=now)
        report = record.report
        record.began -= (now - run.walk_began_at).total_seconds()
        report.plan_ms = shared.plan_ms
        report.fetch_ms = max(0, ms_since(record.began) - shared.plan_ms)
        with record.kept():
            done = sum(part.status == "done" for part in parts)
            if done < shared.windows:
                stuck = any(part.stuck for part in parts)
                report.fall_short(
                    "failed" if stuck or not report.fetched else "partial",
                    f"Of {shared.windows} windows {done} were walked to their end. "
                    f"{_reasons(parts)}Nobody was deleted. Run again.",
                )
            else:
                check_instance(job, shared.instance_id)
                record.compare_clocks()
                judge_and_sweep(
                    job, run, shared.expected, shared.created_before, report
                )
        return _ended(record)

    def _planned(self, job: Job, run: Run, owner: KeyOwner, at_once: int) -> Planned:
        # Loaded here, where a bulk run pays for it.
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - see above

        end = end_of_listing(job.clerk, run.walk_began_at)
        expected = job.clerk.count(created_before=end)
        with ThreadPoolExecutor(self._setup.workers) as executor:
            windows = plan_windows(
                lambda before: job.clerk.count(created_before=before),
                end=end,
                total=expected,
                executor=executor,
            )
        at_once = min(at_once, len(windows), owner.rate_limit)
        shared = SharedRun(
            run_id=run.run_id,
            request=job.request,
            instance_id=owner.id,
            rate_limit=owner.rate_limit // at_once,
            created_before=end,
            expected=expected,
            windows=len(windows),
            requests=job.clerk.requests,
            plan_ms=ms_since(job.began),
        )
        parts = [
            Part(
                status="planned",
                windows=[{"start": window.start, "end": window.end}],
                users=window.users,
            )
            for window in windows
        ]
        logger.info("bulk sync planned", windows=len(windows), at_once=at_once)
        return Planned(run=shared, parts=parts, at_once=at_once)

    def _find(self, shared: SharedRun) -> tuple[Run, ReportJson | None]:
        found = self._setup.ledger.find(shared.run_id)
        if found is None:
            raise InvalidPayloadError("There is no such run in the ledger.")
        return found


def _sum_of(shared: SharedRun, parts: Sequence[Part]) -> Counts:
    counts = Counts(requests=shared.requests)
    for part in parts:
        counts.add(part.counts)
    return counts


def _reasons(parts: Sequence[Part]) -> str:
    """A few of them, each once."""
    reasons = {p.reason for p in parts if p.status != "done" and p.reason}
    return "".join(f"{reason} " for reason in sorted(reasons)[:3])


def _ended(record: Record) -> ReportJson:
    report = record.report.as_json()
    log_run(report)
    return report
