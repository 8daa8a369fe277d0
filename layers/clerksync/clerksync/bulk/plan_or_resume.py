"""The plan of a walk over all users: a new one, or one that the run resumes."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from clerksync.bulk.clocks import end_of_listing
from clerksync.bulk.job import Job
from clerksync.bulk.run_ledger import Run
from clerksync.bulk.windows import Windows

# After that, too much may have changed: a walk starts over.
_RESUMED_WITHIN: Final = timedelta(hours=1)


@dataclass(slots=True)
class Walk:
    """A walk over all users: the run's own, or one that the run resumes."""

    run: Run
    windows: Windows
    expected: int
    """How many users Clerk counted before the walk began."""
    listed: int = 0
    """How many earlier runs of this walk have recorded."""
    failed: int = 0
    """How many of them could not be written."""

    @property
    def created_before(self) -> int:
        """The end of the listing. Unix ms of Clerk's clock."""
        return max(window.end for window in self.windows)

    def checkpoint(self, *, failed: int, sweep_too: bool) -> dict[str, Any] | None:
        """Return how far the walk has come, if there is anything to resume.

        With `sweep_too`, also a walk that lacks only its sweep. A sweep that failed is
        not resumed: it might fail again and again, and nobody would walk.
        """
        windows = self.windows.as_json()
        if not any("reached" in window or "done" in window for window in windows):
            return None
        if not sweep_too and all("done" in window for window in windows):
            return None
        failed += self.failed
        state = {"expected": self.expected, "failed": failed, "windows": windows}
        if self.run.snapshot is not None:
            state |= {"snapshot": self.run.snapshot, "kept_at": self.run.kept_at}
        return state


def plan_walk(job: Job, run: Run, instance_id: str) -> Walk | None:
    """Resume a walk that an earlier run has left unfinished, or begin a new one.

    None if the run is there to resume one, and another run has already done so.
    """
    resumed = None if job.request.dry_run else _resumed(job, run, instance_id)
    if resumed is not None or job.request.continuation:
        return resumed
    end = end_of_listing(job.clerk, run.walk_began_at)
    expected = job.clerk.count(created_before=end)
    return Walk(run, Windows.until(end, to_come=expected), expected)


def _resumed(job: Job, run: Run, instance_id: str) -> Walk | None:
    ledger = job.setup.ledger
    taken_over = ledger.take_over(
        run, mode=job.request.mode, instance_id=instance_id, within=_RESUMED_WITHIN
    )
    if taken_over is None:
        return None
    run, checkpoint = taken_over
    expected, listed = checkpoint["expected"], ledger.count_listed(run)
    windows = Windows.from_json(checkpoint["windows"], to_come=expected - listed)
    return Walk(run, windows, expected, listed, checkpoint["failed"])
