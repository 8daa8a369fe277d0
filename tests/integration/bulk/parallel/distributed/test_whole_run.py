"""A run by the state machine: the same as by one function."""

import json
from typing import Any

import psycopg
import pytest

from clerksync.clerk.api import ClerkApi
from functions.bulk_sync import app
from local.stub_clerk.stub import StubClerk
from tests.doors import log_lines, sample
from tests.integration.bulk.bulk import miss_two
from tests.integration.bulk.parallel.conftest import USERS
from tests.integration.bulk.parallel.distributed.machine import JSON, Machine
from tests.people import shown
from tests.tables import SYNCED_TABLES, rows

# What tells of time, and of the way that a run has gone.
OF_THE_WAY = {"run_id", "requests", "windows", "users_per_second"}
OF_THE_ROW = {"created_at", "updated_at", "synced_at", "refilled_at"}


def content(connection: psycopg.Connection) -> dict[str, Any]:
    """All tables, but for times of writing."""
    return {
        table: {
            key: {name: row[name] for name in row.keys() - OF_THE_ROW}
            for key, row in rows(connection, table).items()
        }
        for table in SYNCED_TABLES
    }


def outcome(report: JSON) -> JSON:
    return {
        name: value
        for name, value in report.items()
        if name not in OF_THE_WAY and not name.endswith("_ms")
    }


def test_it_makes_of_an_empty_table_what_one_function_makes(
    machine: Machine, clerk: StubClerk, connection: psycopg.Connection
) -> None:
    """Every column of every row, every count, and every field of the report."""
    by_machine = machine()
    assert by_machine["windows"] > 5
    assert by_machine["fetched"] == USERS
    assert rows(connection).keys() == shown(clerk)
    table = content(connection)
    connection.execute("TRUNCATE users, rate_limits, sync_state, sync_runs")
    by_function = app.handler({}, None)
    assert by_machine.keys() == by_function.keys()
    assert outcome(by_machine) == outcome(by_function)
    assert content(connection) == table


def test_it_finds_what_was_missed(
    machine: Machine, clerk: StubClerk, connection: psycopg.Connection
) -> None:
    """A sign-up, a change and a deletion that no webhook told of."""
    machine()
    renamed, deleted = miss_two(clerk)
    new = clerk.create_user(email="new@example.com")["id"]
    report = machine()
    assert report["status"] == "completed"
    counts = [report[n] for n in ("created", "updated", "deleted", "orphans_found")]
    assert counts == [1, 1, 1, 1]
    table = rows(connection)
    assert table[renamed]["first_name"] == "Renamed"
    assert new in table
    assert deleted not in table


def test_the_ledger_has_one_run_and_its_report(
    machine: Machine, clerk: StubClerk, connection: psycopg.Connection
) -> None:
    """And nothing of its listing."""
    report = machine()
    (run,) = rows(connection, "sync_runs").values()
    assert (run["mode"], run["status"]) == ("full", "completed")
    assert run["instance_id"] == clerk.instance_id
    assert run["report"] == report
    assert rows(connection, "sync_run_listed") == {}


def test_log_and_metrics_tell_of_one_run(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of windows only the log, and every line says of which run."""
    report = machine()
    output = capsys.readouterr().out
    (ended,) = log_lines(output, "bulk sync ended")
    assert ended["report"] == report
    (planned,) = log_lines(output, "bulk sync planned")
    assert len(log_lines(output, "window ended")) == planned["windows"]
    lines = [json.loads(line) for line in output.splitlines()]
    logged = [line for line in lines if "message" in line]
    assert {line["run_id"] for line in logged} == {report["run_id"]}
    assert sum("BulkSyncRunCompleted" in line for line in lines) == 1
    assert sum("BulkSyncFetched" in line for line in lines) == 1


def test_requests_of_all_steps_are_counted(machine: Machine, clerk: StubClerk) -> None:
    """As many as Clerk was asked."""
    assert machine()["requests"] == clerk.requests


def test_times_are_those_of_the_whole_run(machine: Machine) -> None:
    """From the plan's begin to the report, whoever walked when."""
    report = machine()
    phases = report["plan_ms"] + report["fetch_ms"] + report["sweep_ms"]
    assert 0 < phases <= report["duration_ms"] + 1
    assert report["users_per_second"] == USERS * 1000 // report["fetch_ms"]


def test_a_dry_run_tells_and_writes_only_to_the_ledger(
    machine: Machine, clerk: StubClerk, connection: psycopg.Connection
) -> None:
    """It counts what a real run would do, orphans included."""
    machine()
    miss_two(clerk)
    before = content(connection)
    report = machine(dry_run=True)
    assert [report[n] for n in ("updated", "orphans_found", "deleted")] == [1, 1, 0]
    assert report["dry_run"] is True
    assert content(connection) == before


def test_a_cleanup_deletes_and_writes_nobody(
    machine: Machine, clerk: StubClerk, connection: psycopg.Connection
) -> None:
    """The mode goes with the run."""
    machine()
    _, deleted = miss_two(clerk)
    report = machine(mode="cleanup")
    assert (report["mode"], report["deleted"], report["updated"]) == ("cleanup", 1, 0)
    assert deleted not in rows(connection)


def test_an_incremental_run_goes_on_from_there(
    machine: Machine, clerk: StubClerk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run by the state machine has seen everything, as any full run."""
    machine()

    def count_nobody(*_: object, **__: object) -> int:
        raise AssertionError("everything is read anew")

    monkeypatch.setattr(ClerkApi, "count", count_nobody)
    new = clerk.create_user(email="new@example.com")["id"]
    assert new in clerk.ids()
    report = app.handler({"mode": "incremental"}, None)
    assert (report["status"], report["created"]) == ("completed", 1)


def test_scheduler_events_ask_for_a_full_run(machine: Machine) -> None:
    """As they do of the function."""
    event = {"step": "plan", "request": sample("scheduled")}
    assert machine.take(event)["run"]["request"]["mode"] == "full"


@pytest.mark.parametrize(
    "event",
    [
        {"step": "plan", "request": {"mode": "incremental"}},
        {"step": "plan", "request": {"mode": "user", "user_id": f"user_{1:027d}"}},
        {"step": "plan", "request": {"mode": "all"}},
        {"step": "plan", "request": {"continuation": 1}},
        {"step": "plan", "concurrency": 0},
        {"step": "window"},
        {"step": "later"},
    ],
    ids=str,
)
def test_a_step_that_is_none_is_refused(
    machine: Machine, connection: psycopg.Connection, event: JSON
) -> None:
    """Before a run begins."""
    with pytest.raises(app.BulkSyncFailedError):
        machine.take(event)
    assert rows(connection, "sync_runs") == {}
