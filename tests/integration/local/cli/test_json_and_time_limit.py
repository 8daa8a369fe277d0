"""sync for machines: --json, and --time-limit with a run that goes on from there."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from local.stub_clerk.stub import StubClerk
from tests.clock import RunClock
from tests.integration.bulk.parallel.walks import late_from
from tests.people import shown
from tests.tables import rows
from tests.terminal import clerksync, clerksync_here

# What programs may rely on.
KEYS = {
    "run_id": str,
    "mode": str,
    "status": str,
    "reason": str | None,
    "dry_run": bool,
    "fetched": int,
    "created": int,
    "updated": int,
    "unchanged": int,
    "skipped": int,
    "deleted": int,
    "deletions_blocked": int,
    "companions_failed": int,
    "failures": list,
    "refusals": dict,
    "failed": int,
    "email_conflicts": int,
    "held_back": int,
    "orphans_found": int,
    "requests": int,
    "windows": int,
    "users_per_second": int,
    "clerk_ahead_ms": int,
    "plan_ms": int,
    "fetch_ms": int,
    "write_ms": int,
    "sweep_ms": int,
    "prove_ms": int,
    "duration_ms": int,
    "continues": str | None,
    "out_of_time": bool,
}


def report_on(stdout: str) -> dict[str, Any]:
    """The one line that there is, an object with every key of the contract; a dry run
    has its changes beside them."""
    (line,) = stdout.splitlines()
    report: dict[str, Any] = json.loads(line)
    if report["dry_run"]:
        assert isinstance(report.pop("changes"), list)
    assert report.keys() == KEYS.keys()
    assert [n for n, kind in KEYS.items() if not isinstance(report[n], kind)] == []
    return report


def test_json_is_all_that_is_on_standard_output(
    tmp_path: Path,
    settings: dict[str, str],
    stub: StubClerk,
    connection: psycopg.Connection,
) -> None:
    """So that it can be piped; progress is on the other one. It is the ledger's."""
    done = clerksync("sync", "--json", cwd=tmp_path, **settings)
    assert done.returncode == 0
    assert done.stderr == "reading Clerk: 30 of 30\n"
    report = report_on(done.stdout)
    assert (report["status"], report["fetched"]) == ("completed", stub.count)
    (run,) = rows(connection, "sync_runs").values()
    assert run["report"] == report


@pytest.mark.parametrize(
    ("command", "mode", "fetched"),
    [
        (["sync", "--mode", "incremental"], "incremental", 30),
        (["sync", "--dry-run"], "full", 30),
        (["cleanup"], "cleanup", 30),
        (["sync-user"], "user", 1),
    ],
    ids=["incremental", "dry run", "cleanup", "one user"],
)
def test_every_command_that_syncs_tells_the_same_in_json(
    *,
    tmp_path: Path,
    settings: dict[str, str],
    stub: StubClerk,
    command: list[str],
    mode: str,
    fetched: int,
) -> None:
    """With the same keys, whatever the mode."""
    if command == ["sync-user"]:
        command = ["sync-user", min(shown(stub))]
    done = clerksync_here(*command, "--json", cwd=tmp_path, **settings)
    assert done.returncode == 0
    report = report_on(done.stdout)
    assert (report["mode"], report["status"]) == (mode, "completed")
    assert report["fetched"] == fetched


def test_a_run_that_is_not_completed_is_json_too_and_ends_with_1(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    """The reason is in it."""
    settings |= {"CLERK_SECRET_KEY": "sk_test_wrong"}
    done = clerksync_here("sync", "--json", cwd=tmp_path, **settings)
    assert done.returncode == 1
    report = report_on(done.stdout)
    assert report["status"] == "failed"
    assert "CLERK_SECRET_KEY" in report["reason"]


@pytest.fixture
def late(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[StubClerk]:
    """Six pages of users. When a run asks for the second, an hour has passed."""
    clock = RunClock(monkeypatch, stopped=True)
    with StubClerk(users=3_000) as stub:
        stub.interfere = late_from("order_by", 2, clock, by=3600)
        settings |= {"CLERK_SECRET_KEY": stub.secret_key, "CLERK_API_URL": stub.url}
        # Several could have asked for all pages before the second one is counted.
        settings |= {"CLERKSYNC_WORKERS": "1"}
        yield stub


def test_a_time_limit_ends_the_run_and_the_next_one_goes_on(
    tmp_path: Path,
    settings: dict[str, str],
    late: StubClerk,
    connection: psycopg.Connection,
) -> None:
    """Exit code 1 and partial, until everybody is there."""
    limited = "sync", "--time-limit", "60", "--json"
    done = clerksync_here(*limited, cwd=tmp_path, **settings)
    assert done.returncode == 1
    first = report_on(done.stdout)
    assert (first["status"], first["out_of_time"]) == ("partial", True)
    assert 0 < len(rows(connection)) < len(shown(late))
    late.interfere = None
    done = clerksync_here("sync", "--json", cwd=tmp_path, **settings)
    assert done.returncode == 0
    second = report_on(done.stdout)
    assert (second["status"], second["continues"]) == ("completed", first["run_id"])
    assert first["fetched"] + second["fetched"] == 3_000
    assert rows(connection).keys() == shown(late)


def test_a_run_out_of_time_says_what_happens_next(
    tmp_path: Path, settings: dict[str, str], late: StubClerk
) -> None:
    """To a person as well."""
    done = clerksync_here("cleanup", "--time-limit", "60", cwd=tmp_path, **settings)
    assert done.returncode == 1
    assert late.requests < 20
    assert "partial (cleanup)\n" in done.stdout
    reason = "The time of the run was over. The next run goes on from there.\n"
    assert reason in done.stdout


@pytest.mark.parametrize("limit", ["0", "-1", "soon", "nan", "inf"])
def test_a_time_limit_that_is_none_is_refused(
    tmp_path: Path, settings: dict[str, str], stub: StubClerk, limit: str
) -> None:
    """Before Clerk is asked."""
    done = clerksync_here("sync", f"--time-limit={limit}", cwd=tmp_path, **settings)
    assert (done.returncode, stub.requests) == (2, 0)
