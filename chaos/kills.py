"""The bulk process, killed at random moments again and again."""

import random
import threading
import time
from typing import Final

from chaos.bulk import BulkRun
from chaos.findings import Finding
from chaos.rig import DATABASE, Rig

_AT_ONCE: Final = 2
_PAGE_MS: Final = 50
_CHANGES: Final = 5


class Kills:
    """Starts runs and kills them, two at once, while Clerk changes and tells nobody."""

    def __init__(self, rig: Rig, *, longest: float) -> None:
        self._rig = rig
        self._longest = longest
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
            run = BulkRun(self._rig)
            time.sleep(random.uniform(0.1, self._longest))
            alive = run.kill()
            torn = self._rig.half_done()
            with self._lock:
                self.alive += alive
                self.torn += torn


def killed(rig: Rig, *, times: int) -> Finding:
    """So many kills; then one undisturbed run makes the table equal to Clerk."""
    rig.clerk.latency_ms = _PAGE_MS
    whole = BulkRun(rig).end().seconds
    before = _cut_short(rig)
    # Two share what one had, and some may end in time.
    kills = Kills(rig, longest=1.5 * whole)
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
    with rig.server.connected(DATABASE) as connection:
        row = connection.execute(
            "SELECT count(*) FROM sync_runs WHERE status = 'running'"
        ).fetchone()
    assert row is not None
    return int(row[0])
