"""`make load`: the webhook door under load, and whether every 200 is in the table."""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any, Final

import psycopg

from benchmarks.machine import measured_by
from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate
from local.stack.embedded_postgres import embedded_postgres
from local.stack.functions import signed
from local.stub_clerk.stub import StubClerk
from tests.chaos.versions import versions

_EVENTS: Final = Path(__file__).parents[2] / "events"
_RESULTS: Final = Path(__file__).parent / "results" / "load.md"
_WORKERS: Final = (1, 4, 16)
_EVENTS_EACH: Final = 9_000
_HEAD: Final = (
    "environments",
    "events",
    "seconds",
    "events/s",
    "p50, ms",
    "p95, ms",
    "p99, ms",
    "slowest, ms",
    "not 200",
    "200 and not in the table",
)
_STORED: Final = "SELECT id, first_name FROM users"

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Load:
    """Signed requests, and the name that each user has in the end."""

    requests: list[JSON]
    names: dict[str, str]


@dataclass(frozen=True, slots=True)
class Result:
    workers: int
    seconds: float
    took: list[float]
    """Of each request, in seconds."""
    failed: int
    missing: int

    @property
    def row(self) -> list[str]:
        p = quantiles(self.took, n=100, method="inclusive")
        times = (p[49], p[94], p[98], max(self.took))
        return [
            str(self.workers),
            f"{len(self.took):,}",
            f"{self.seconds:.1f}",
            f"{len(self.took) / self.seconds:,.0f}",
            *(f"{1000 * seconds:.1f}" for seconds in times),
            str(self.failed),
            str(self.missing),
        ]


def prepared(count: int) -> Load:
    """A third creates users, a third renames them, a third repeats that; in no order,
    so that some are stale, some duplicates, and some meet in the database."""
    clerk = StubClerk()
    sample = json.loads((_EVENTS / "user_created.json").read_text("utf-8"))
    events, names = [], {}
    for number in range(count // 3):
        user = clerk.create_user(
            email=f"load{number}@example.com", first_name="Before", notify=False
        )
        events.append(clerk.event("user.created", user))
        after = clerk.update_user(user["id"], first_name=f"After{number}", notify=False)
        events += [clerk.event("user.updated", after)] * 2
        names[user["id"]] = f"After{number}"
    random.Random(count).shuffle(events)
    os.environ["CLERK_WEBHOOK_SIGNING_SECRET"] = clerk.webhook_signing_secret
    requests = [
        signed(sample | {"body": json.dumps(event)}, clerk.webhook_signing_secret)
        for event in events
    ]
    return Load(requests, names)


def measured(workers: int, count: int, url: str, folder: Path) -> Result:
    """Hand the requests to so many environments, and let all begin at once."""
    load = prepared(count)
    settings = {
        "DATABASE_URL": url,
        "CLERK_WEBHOOK_SIGNING_SECRET": os.environ["CLERK_WEBHOOK_SIGNING_SECRET"],
    }
    with ExitStack() as stack:
        processes = []
        for number in range(workers):
            file = folder / f"{number}.jsonl"
            part = load.requests[number::workers]
            file.write_text("".join(json.dumps(r) + "\n" for r in part))
            processes.append(stack.enter_context(_worker(file, settings)))
        for process in processes:
            _line(process)
        began = time.monotonic()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        took = [pair for process in processes for pair in json.loads(_line(process))]
        seconds = time.monotonic() - began
    failed = sum(status != 200 for status, _ in took)
    with psycopg.connect(url) as connection:
        stored: dict[str, str] = dict(connection.execute(_STORED).fetchall())
    missing = sum(stored.get(i) != name for i, name in load.names.items())
    return Result(workers, seconds, [t for _, t in took], failed, missing)


def _worker(file: Path, settings: JSON) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.load_worker", str(file)],
        env=os.environ | settings,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("a worker has ended")
    return line


def main() -> None:
    parser = argparse.ArgumentParser(prog="make load LOAD='…'")
    parser.add_argument("--events", type=int, default=_EVENTS_EACH, metavar="N")
    parser.add_argument("--workers", type=int, nargs="+", default=_WORKERS, metavar="N")
    options = parser.parse_args()
    lines = [f"| {' | '.join(_HEAD)} |", f"|{'---:|' * len(_HEAD)}"]
    print("\n".join(lines), flush=True)
    broken = 0
    with (
        tempfile.TemporaryDirectory() as folder,
        embedded_postgres() as url,
        closing(Database(lambda: url)) as database,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        migrate(database)
        head = measured_by("make load", versions(connection))
        for workers in options.workers:
            connection.execute("TRUNCATE users, rate_limits, sync_state")
            result = measured(workers, options.events, url, Path(folder))
            lines.append(f"| {' | '.join(result.row)} |")
            print(lines[-1], flush=True)
            broken += result.failed + result.missing
    if options.events == _EVENTS_EACH and tuple(options.workers) == _WORKERS:
        title = "# The webhook door under load"
        _RESULTS.write_text("\n".join([title, "", *head, "", *lines, ""]))
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
