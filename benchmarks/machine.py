"""What the numbers were measured on. No name of the machine, no path."""

import os
import platform
import re
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from benchmarks.scenarios import DLT_PYTHON

_OURS = ("psycopg", "pydantic", "urllib3")
_CPU_INFO = Path("/proc/cpuinfo")


def described(postgres: str) -> list[str]:
    """Lines for the head of a results file; `postgres` is the server's version."""
    packages = [f"{name} {metadata.version(name)}" for name in _OURS]
    python = f"Python {platform.python_version()}"
    versions = [python, f"Postgres {postgres}", *packages, f"dlt {_dlt_version()}"]
    return measured_by("make bench", versions)


def measured_by(command: str, versions: Iterable[str]) -> list[str]:
    """Lines for the head of a results file: when, on what, with which versions."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    machine = f"{os.cpu_count()} cores ({_cpu_model()}), {memory:.0f} GB of memory"
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    return [
        f"By `{command}` on {today}: {machine}, {platform.system()};",
        f"{', '.join(versions)}.",
    ]


def _cpu_model() -> str:
    if _CPU_INFO.exists():
        found = re.search(r"^model name\s*: (.+)$", _CPU_INFO.read_text(), re.MULTILINE)
        if found:
            return found[1]
    return platform.machine()


def _dlt_version() -> str:
    if not DLT_PYTHON.exists():
        return "not installed"
    program = "from importlib import metadata; print(metadata.version('dlt'))"
    command = [str(DLT_PYTHON), "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()
