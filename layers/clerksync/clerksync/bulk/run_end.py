"""How a run ends: its report, its line in the ledger, the log and the metrics."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, Final

from aws_lambda_powertools.metrics import MetricUnit

from clerksync.bulk.clocks import clerk_ahead_ms, clocks_far_apart
from clerksync.bulk.job import CLERK_ERRORS, Job
from clerksync.bulk.plan_or_resume import Walk
from clerksync.bulk.report import Counts, Report, ms_since
from clerksync.bulk.run_ledger import Run
from clerksync.errors import OutOfTimeError, RefusedError, StuckListingError
from clerksync.observability import count, logger, metrics

# Modes that find what webhooks missed. The others are asked for by a person.
_SCHEDULED: Final = frozenset({"full", "incremental"})


class Record:
    """What is known of one run while it goes on."""

    def __init__(
        self, job: Job, run: Run, counts: Counts | None = None, *, began_at: datetime
    ) -> None:
        """`counts` are of steps that were taken elsewhere. The record begins now, at
        `began_at` of the database's clock."""
        self._job = job
        self._run = run
        self._began = began_at, time.monotonic()
        self.walk: Walk | None = None
        """Over all users; from then on, a run that ends early can be resumed."""
        self.began = job.began
        """Of `time.monotonic()`."""
        request = job.request
        self.report = Report(
            run_id=run.run_id, mode=request.mode, dry_run=request.dry_run
        )
        self.report.add(counts or Counts())
        logger.append_keys(run_id=str(run.run_id))

    @contextmanager
    def kept(self, *, goes_on: bool = False) -> Iterator[None]:
        """End the run with the block, whatever happens in it.

        A refusal, and what goes wrong at Clerk, ends in the report. Everything else is
        raised, and the ledger then says failed. With `goes_on`, the run only ends if
        something stopped the block.
        """
        try:
            yield
        except RefusedError as refusal:
            self.report.fall_short("refused", str(refusal))
            self._end()
        except StuckListingError as error:
            self.report.fall_short("failed", str(error))
            self._end(self.checkpoint(sweep_too=False))
        except CLERK_ERRORS as error:
            out_of_time = isinstance(error, OutOfTimeError)
            checkpoint = self.checkpoint(sweep_too=out_of_time)
            seen = self.report.fetched or checkpoint
            self.report.fall_short("partial" if seen else "failed", str(error))
            self.report.out_of_time = out_of_time and checkpoint is not None
            self._end(checkpoint)
        except BaseException as error:  # Ctrl-C too: the ledger must not say running
            self.report.fall_short("failed", f"{type(error).__name__}, see the log.")
            with suppress(Exception):  # the database may be what failed
                self._end(self.checkpoint(sweep_too=False))
            raise
        else:
            if not goes_on:
                self._end()

    def compare_clocks(self) -> None:
        """Note by how much Clerk's clock is ahead, as soon as Clerk has responded."""
        began_at, began = self._began
        database_now = began_at + timedelta(milliseconds=ms_since(began))
        self.report.clerk_ahead_ms = clerk_ahead_ms(self._job.clerk, database_now)

    def checkpoint(self, *, sweep_too: bool) -> dict[str, Any] | None:
        """Where the next run can resume; see `Walk.checkpoint`."""
        if self.walk is None or self._job.request.dry_run:
            return None
        return self.walk.checkpoint(failed=self.report.failed, sweep_too=sweep_too)

    def _end(self, checkpoint: dict[str, Any] | None = None) -> None:
        job, walk, report = self._job, self.walk, self.report
        if walk is not None:
            report.windows = len(list(walk.windows))
            if walk.run.walk_id != self._run.run_id:
                report.continues = walk.run.walk_id
        report.judge_counts(
            failed_before=walk.failed if walk else 0,
            email_not_null=job.users.mapping.email_not_null,
        )
        if checkpoint is not None:
            report.fall_short("partial", "The next run goes on from there.")
        if far_apart := clocks_far_apart(report.clerk_ahead_ms):
            report.explain(far_apart)
        if report.fetch_ms:
            report.users_per_second = report.fetched * 1000 // report.fetch_ms
        report.requests += job.clerk.requests
        report.duration_ms = ms_since(self.began)
        run = walk.run if walk else self._run
        job.setup.ledger.finish(run, report.status, report.as_json(), checkpoint)


def log_run(report: Mapping[str, Any]) -> None:
    """How a bulk run ended, for the log and for the metrics."""
    log = logger.info if report["status"] == "completed" else logger.error
    log("bulk sync ended", report=report)
    count_run(report)


def count_run(report: Mapping[str, Any]) -> None:
    """The numbers of a bulk run as BulkSyncCreated and so on; how it ended, as
    BulkSyncRunCompleted and so on. Of the runs of schedules, full and incremental, also
    what they put right, as BulkSyncDrift, and that a full one completed, as
    BulkSyncFullRunCompleted; neither of dry runs."""
    count(f"BulkSyncRun{report['status'].title()}")
    if report["mode"] in _SCHEDULED and not report["dry_run"]:
        drift = report["created"] + report["updated"] + report["deleted"]
        count("BulkSyncDrift", drift)
        if report["mode"] == "full" and report["status"] == "completed":
            count("BulkSyncFullRunCompleted")
    for name, value in report.items():
        if type(value) is int:
            unit = MetricUnit.Milliseconds if name.endswith("_ms") else MetricUnit.Count
            metric = "".join(w.title() for w in name.removesuffix("_ms").split("_"))
            metrics.add_metric(name=f"BulkSync{metric}", unit=unit, value=value)
