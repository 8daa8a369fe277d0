"""How a contender is timed, from within, and how it tells."""

import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_STATUS = Path("/proc/self/status")


def tell(work: Callable[[], Mapping[str, Any]]) -> None:
    """Do the work, then print a line of JSON: `seconds`, `cpu_seconds` and
    `peak_memory_mb` (of 10^6 bytes) of this process, and what the work returned.

    The seconds are of the work alone: call this when all imports are done.
    """
    began, busy = time.perf_counter(), time.process_time()
    told = work()
    measured = {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - busy,
        "peak_memory_mb": _peak_mb(),
    }
    print(json.dumps(measured | dict(told)))


def _peak_mb() -> float:
    if _STATUS.exists():
        # ru_maxrss would not do on Linux: it begins with the parent's size at the fork.
        line = next(
            line
            for line in _STATUS.read_text("ascii").splitlines()
            if line.startswith("VmHWM:")
        )
        return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
