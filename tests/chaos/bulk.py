"""`clerksync sync` as a process of its own, while something breaks."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.chaos.faults import Fault
from tests.chaos.findings import Finding
from tests.chaos.rig import Rig

_COMMAND: Final = str(Path(sys.executable).with_name("clerksync"))
_PATIENCE_SECONDS: Final = 240.0
# So slow that all pages come, and are written, after a fault has begun.
_PAGE_MS: Final = 700
_REQUESTS_BEFORE: Final = 4
_MOST_RUNS: Final = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    ended: str
    """completed, partial, refused or failed; else the error that it ended with."""
    seconds: float
    report: Mapping[str, Any] = field(default_factory=dict)


class BulkRun:
    """A run that has been started."""

    def __init__(self, rig: Rig, **settings: str) -> None:
        kept = {
            name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ
        }
        self._began = time.monotonic()
        self._log = rig.folder / "functions.log"
        self._process = subprocess.Popen(
            [_COMMAND, "sync", "--json"],
            cwd=rig.folder,
            env=kept | {"LANG": "C.UTF-8"} | rig.settings | settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> bool:
        """SIGKILL; whether it was still running."""
        running = self.is_running
        self._process.kill()
        self._process.communicate()
        return running

    def end(self) -> Outcome:
        """Wait for it. Raises subprocess.TimeoutExpired when it never ends."""
        try:
            output, errors = self._process.communicate(timeout=_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        seconds = time.monotonic() - self._began
        with self._log.open("a", encoding="utf-8") as log:
            log.write(errors)
        if output.strip():
            report = json.loads(output)
            return Outcome(report["status"], seconds, report)
        told = errors.strip().splitlines()[-1:] or ["nothing"]
        error = told[0].removeprefix("error: ")
        return Outcome(error.partition(": ")[0].partition(". ")[0], seconds)


def brought_into_line(rig: Rig) -> tuple[int, list[str]]:
    """Undisturbed runs until one is completed; how many, and what differs then."""
    for number in range(1, _MOST_RUNS + 1):
        if BulkRun(rig).end().ended == "completed":
            return number, rig.differences()
    return _MOST_RUNS, rig.differences()


def under_fault(rig: Rig, fault: Fault) -> Finding:
    """Let a fault come and go in mid-run, and see what the next run does."""
    rig.changes.many(200)
    rig.clerk.latency_ms = _PAGE_MS
    rig.clerk.reset_requests()
    run = BulkRun(rig)
    while rig.clerk.requests < _REQUESTS_BEFORE and run.is_running:
        time.sleep(0.02)
    in_time = run.is_running
    with fault.inject(rig):
        time.sleep(fault.seconds)
    outcome = run.end()
    rig.heal()
    torn = rig.half_done()
    runs, lost = brought_into_line(rig)
    broken = [] if in_time else ["it ended before the fault: nothing was shown"]
    if "Traceback" in outcome.ended or not outcome.ended:
        broken.append("no word to a person")
    if lost:
        broken.append("lost something")
    if torn:
        broken.append(f"{torn} rows half done")
    by_itself = outcome.ended == "completed"
    return Finding(
        fault.name,
        "bulk sync",
        outcome.ended,
        outcome.seconds,
        "by itself" if by_itself else f"by {runs} further run",
        len(lost),
        broken,
    )
