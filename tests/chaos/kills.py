"""The bulk process, killed at random moments again and again."""

import random
import threading
import time
from typing import Final, LiteralString

from tests.chaos.bulk import BulkRun, Outcome
from tests.chaos.findings import Finding
from tests.chaos.rig import DATABASE, Rig

_AT_ONCE: Final = 2
_PAGE_MS: Final = 50
_CHANGES: Final = 5
_AT_ANY_MOMENT: Final = 0.2


class Kills:
    """Starts runs and kills them, two at once, while Clerk changes and tells nobody."""

    def __init__(self, rig: Rig, whole: Outcome) -> None:
        """`whole` is how a run ended that nobody disturbed."""
        self._rig = rig
        self._whole = whole
        self._lock = threading.Lock()
        self.alive = 0
        """Processes that were still running when they were killed."""
        self.torn = 0

    def run(self, times: int) -> None:
        threads = [
            threading.Thread(target=self._run, args=[times // _AT_ONCE])
            for _ in range(_AT_ONCE)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _run(self, times: int) -> None:
        for _ in range(times):
            self._rig.changes.many(_CHANGES)
            begun = _begun(self._rig)
            run = BulkRun(self._rig)
            self._wait(run, begun)
            alive = run.kill()
            torn = self._rig.half_done()
            with self._lock:
                self.alive += alive
                self.torn += torn

    def _wait(self, run: BulkRun, begun: int) -> None:
        """Until a random moment: of the process at times, mostly of its run."""
        # Two share what one had, and some may end in time.
        if random.random() < _AT_ANY_MOMENT:
            time.sleep(random.uniform(0, 1.5 * self._whole.seconds))
            return
        while run.is_running and _begun(self._rig) == begun:
            time.sleep(0.02)
        seconds = self._whole.report["duration_ms"] / 1000
        time.sleep(random.uniform(0, 1.5 * seconds))


def killed(rig: Rig, *, times: int) -> Finding:
    """So many kills; then one undisturbed run makes the table equal to Clerk."""
    rig.clerk.latency_ms = _PAGE_MS
    whole = BulkRun(rig).end()
    before = _cut_short(rig)
    kills = Kills(rig, whole)
    kills.run(times)
    in_the_middle = _cut_short(rig) - before
    outcome = BulkRun(rig).end()
    rig.heal()
    lost = rig.differences()
    broken = []
    if outcome.ended != "completed":
        broken.append(f"the undisturbed run: {outcome.ended}")
    if lost:
        broken.append("lost something")
    if kills.torn:
        broken.append(f"{kills.torn} rows half done")
    if not in_the_middle:
        broken.append("none was killed in the middle: nothing was shown")
    return Finding(
        f"killed (SIGKILL) {times} times, two at once",
        "bulk sync",
        f"{kills.alive} before their end, {in_the_middle} of them in mid-run",
        outcome.seconds,
        "by 1 further run",
        len(lost),
        broken,
    )


def _cut_short(rig: Rig) -> int:
    """Runs of which the ledger says that they run; nobody runs now."""
    return _count(rig, "SELECT count(*) FROM sync_runs WHERE status = 'running'")


def _begun(rig: Rig) -> int:
    return _count(rig, "SELECT count(*) FROM sync_runs")


def _count(rig: Rig, query: LiteralString) -> int:
    with rig.server.connected(DATABASE) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])
