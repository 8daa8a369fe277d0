"""A bulk run by many functions at once: plan, a window each, finish.

statemachines/bulk_sync.asl.json puts the steps in order. What one must know of another
goes through the state machine and is small; what was listed goes through the ledger.
Each step may be taken twice, as Lambda and Step Functions may do.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal

from clerksync.bulk.distributed_windows import plan_windows
from clerksync.bulk.fetch import fetch_windows
from clerksync.bulk.report import BulkSyncRequest, Report, ms_since
from clerksync.bulk.run_ledger import Run
from clerksync.bulk.steps import BulkSetup, BulkSteps
from clerksync.bulk.walk import CLERK_ERRORS
from clerksync.bulk.windows import Windows
from clerksync.clerk.api import ClerkApi
from clerksync.doors.step_functions import (
    Counts,
    Finish,
    Part,
    Plan,
    SharedRun,
    Walk,
    read_step,
)
from clerksync.errors import InvalidPayloadError, OtherInstanceError, OutOfTimeError
from clerksync.observability import logger, tell_run
from clerksync.postgres.database import Database
from clerksync.settings.environment import Settings


class DistributedRun:
    """The steps of full and cleanup runs, one for each invocation.

    Raises InvalidSettingError when it is made.
    """

    def __init__(self, settings: Settings, database: Database, clerk: ClerkApi) -> None:
        self._setup = BulkSetup.of(settings, database)
        self._all_runs_clerk = clerk

    def take(self, event: Mapping[str, Any], *, deadline: float) -> dict[str, Any]:
        """What the state machine goes on with: a plan, a part, or the run's report.

        Raises InvalidPayloadError, and what the database raises; the step may then be
        taken again.
        """
        step = read_step(event)
        self._clerk = self._all_runs_clerk.for_run(deadline)
        if isinstance(step, Plan):
            return self._plan(step)
        if isinstance(step, Walk):
            return self._walk(step).model_dump(mode="json")
        return self._finish(step)

    def _plan(self, step: Plan) -> dict[str, Any]:
        request = BulkSyncRequest.from_event(step.request)
        if request.mode not in {"full", "cleanup"} or request.continuation:
            message = "The state machine does full and cleanup runs, from their begin."
            raise InvalidPayloadError(message)
        run = self._setup.ledger.begin(request.mode, dry_run=request.dry_run)
        steps = self._steps(run, request, Counts())
        with _recorded(steps):
            instance = steps.ask_instance()
            if steps.is_accepted(instance):
                return self._planned(steps, instance, step.concurrency)
        return _ended(steps)

    def _planned(
        self, steps: BulkSteps, instance: str, concurrency: int
    ) -> dict[str, Any]:
        # Loaded here, where a bulk run pays for it.
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - see above

        expected, end = steps.count(), steps.created_before()
        with ThreadPoolExecutor(self._setup.workers) as executor:
            windows = plan_windows(
                lambda before: self._clerk.count(created_before=before),
                end=end,
                total=expected,
                executor=executor,
            )
        at_once = min(concurrency, len(windows), steps.rate_limit)
        shared = SharedRun(
            run_id=steps.run.run_id,
            request=steps.request,
            instance_id=instance,
            rate_limit=steps.rate_limit // at_once,
            expected=expected,
            windows=len(windows),
            requests=self._clerk.requests,
            plan_ms=ms_since(steps.began),
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
        return {
            "status": "running",
            "run": shared.model_dump(mode="json"),
            "concurrency": at_once,
            "parts": [part.model_dump(mode="json") for part in parts],
        }

    def _walk(self, step: Walk) -> Part:
        run, ended = self._find(step.run)
        if ended is not None:
            return step.part.failed("The run has ended already.")
        part, before = step.part, step.part.counts
        steps = self._steps(run, step.run.request, before)
        report = steps.report
        windows = Windows.from_json(
            part.windows, to_come=max(0, part.users - before.fetched)
        )
        status: Literal["done", "unfinished", "failed"] = "done"
        reason = None
        try:
            self._check_instance(steps, step.run)
            self._clerk.rate_limiter.set_limit(step.run.rate_limit)
            self._walk_windows(steps, windows)
        except CLERK_ERRORS as error:
            # Who had all of Lambda's time and saw nobody would go on so for ever.
            goes_on = isinstance(error, OutOfTimeError) and (
                report.fetched > before.fetched
            )
            status, reason = "unfinished" if goes_on else "failed", str(error)
        left = [window for window in windows.as_json() if "done" not in window]
        report.windows += len(list(windows)) - len(left)
        report.requests += self._clerk.requests
        counts = Counts.model_validate(
            {name: getattr(report, name) for name in Counts.model_fields}
        )
        logger.info("window ended", status=status, counts=counts.model_dump())
        return Part(
            status=status, reason=reason, windows=left, users=part.users, counts=counts
        )

    def _walk_windows(self, steps: BulkSteps, windows: Windows) -> None:
        writer, workers = steps.writer(), self._setup.workers
        writer.consume(
            fetch_windows(self._clerk, windows, writer.prepare, workers=workers),
            progress=lambda _: None,
        )

    def _finish(self, step: Finish) -> dict[str, Any]:
        shared = step.run
        run, ended = self._find(shared)
        if ended is not None:
            return ended
        steps = self._steps(run, shared.request, _sum_of(step.parts))
        report = steps.report
        steps.requests_elsewhere = shared.requests + report.requests
        passed = self._setup.users.clock() - run.walk_began_at
        steps.began -= passed.total_seconds()
        report.plan_ms = shared.plan_ms
        report.fetch_ms = max(0, ms_since(steps.began) - shared.plan_ms)
        with _recorded(steps):
            done = sum(part.status == "done" for part in step.parts)
            if done < shared.windows:
                report.fall_short(
                    "partial" if report.fetched else "failed",
                    f"Of {shared.windows} windows {done} were walked to their end. "
                    f"{_reasons(step.parts)}Nobody was deleted. Run again.",
                )
            else:
                self._check_instance(steps, shared)
                steps.close_walk(shared.expected)
        return _ended(steps)

    def _find(self, shared: SharedRun) -> tuple[Run, dict[str, Any] | None]:
        found = self._setup.ledger.find(shared.run_id)
        if found is None:
            raise InvalidPayloadError("There is no such run in the ledger.")
        return found

    def _check_instance(self, steps: BulkSteps, shared: SharedRun) -> None:
        """The settings are read anew for each step: the key may be another by now."""
        if steps.ask_instance() != shared.instance_id:
            message = "CLERK_SECRET_KEY became that of another instance meanwhile."
            raise OtherInstanceError(message)

    def _steps(self, run: Run, request: BulkSyncRequest, counts: Counts) -> BulkSteps:
        logger.append_keys(run_id=str(run.run_id))
        report = Report(
            run.run_id, request.mode, dry_run=request.dry_run, **counts.model_dump()
        )
        return BulkSteps(
            self._setup, self._clerk, run=run, request=request, report=report
        )


def _sum_of(parts: Sequence[Part]) -> Counts:
    names = Counts.model_fields
    totals = {name: sum(getattr(p.counts, name) for p in parts) for name in names}
    return Counts.model_validate(totals)


def _reasons(parts: Sequence[Part]) -> str:
    """A few of them, each once."""
    reasons = {p.reason for p in parts if p.status != "done" and p.reason}
    return "".join(f"{reason} " for reason in sorted(reasons)[:3])


@contextmanager
def _recorded(steps: BulkSteps) -> Iterator[None]:
    """Whatever goes wrong in a step that may end the run stands in its report."""
    report = steps.report
    try:
        yield
    except CLERK_ERRORS as error:
        report.fall_short("partial" if report.fetched else "failed", str(error))
    except BaseException as error:  # the ledger shall not say running
        report.fall_short("failed", f"{type(error).__name__}, see the log.")
        with suppress(Exception):  # the database may be what is gone
            steps.finish()
        raise


def _ended(steps: BulkSteps) -> dict[str, Any]:
    steps.finish()
    report = steps.report.as_json()
    tell_run(report)
    return report
