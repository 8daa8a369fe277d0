"""The run after a run that broke off: it goes on from there, and only there."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from clerksync.bulk.report import Report
from clerksync.bulk.run_ledger import RunLedger
from clerksync.postgres.database import Database
from local.stub_clerk.faults import StubRequest
from local.stub_clerk.stub import StubClerk
from tests.clock import RunClock
from tests.integration.bulk.bulk import Bulk, miss_two
from tests.integration.bulk.parallel.conftest import PAGE, USERS
from tests.integration.bulk.parallel.walks import (
    cursor,
    pages_asked,
    run_out_of_time,
)
from tests.people import a_user, shown, user_id
from tests.tables import footprint, rows


def windows_left(
    connection: psycopg.Connection, report: Report
) -> list[dict[str, Any]]:
    run = rows(connection, "sync_runs")[report.run_id]
    return [w for w in run["checkpoint"]["windows"] if "done" not in w]


def test_the_next_run_goes_on_from_there_and_completes(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, clock: RunClock
) -> None:
    """Together they fetch everybody once; what is written by then is not written anew.

    Only the page that tells the end of a window comes on top.
    """
    first = run_out_of_time(bulk, stub, clock, page=30)
    before = footprint(connection, "users", "sync_state")
    report = bulk()
    assert (report.status, report.out_of_time) == ("completed", False)
    assert report.continues == first.run_id
    assert first.fetched + report.fetched == USERS
    assert first.created + report.created == len(shown(stub))
    assert set(before) <= set(footprint(connection, "users", "sync_state"))
    assert rows(connection).keys() == shown(stub)
    pages = USERS // PAGE
    assert len(pages_asked(stub)) <= pages + first.windows + 2 * report.windows
    runs = rows(connection, "sync_runs")
    assert [run["checkpoint"] for run in runs.values()] == [None, None]
    assert runs[report.run_id]["continues"] == first.run_id
    assert rows(connection, "sync_run_listed") == {}


def test_the_next_run_asks_for_nothing_below_what_was_written(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, clock: RunClock
) -> None:
    """Each of its pages lies in a window that is not done, behind where that stands."""
    first = run_out_of_time(bulk, stub, clock, page=30)
    left = windows_left(connection, first)
    assert left
    stub.reset_requests()
    bulk()
    begun = [(window.get("reached", window["start"]), window["end"]) for window in left]
    for request in pages_asked(stub):
        asked_from = lower_bound(stub, request)
        assert any(begin <= asked_from < end for begin, end in begun)


def lower_bound(stub: StubClerk, request: StubRequest) -> int:
    if cursor(request):
        at: int = stub.get_user(cursor(request))["created_at"]
        return at
    return int(request.query["created_at_after"][0]) + 1


def test_several_runs_are_a_chain(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, clock: RunClock
) -> None:
    """All of them go on with the walk of the first one, and tell its id."""
    runs = [run_out_of_time(bulk, stub, clock, page=10) for _ in range(3)]
    runs.append(bulk())
    assert [run.status for run in runs] == ["partial"] * 3 + ["completed"]
    assert [run.continues for run in runs] == [None, *[runs[0].run_id] * 3]
    assert sum(run.fetched for run in runs) == USERS
    assert all(run.fetched for run in runs)
    assert rows(connection).keys() == shown(stub)
    assert bulk().continues is None


def test_orphans_of_the_time_before_the_walk_are_swept_when_it_is_complete(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, clock: RunClock
) -> None:
    """Who was synced after it began is spared, though a run began since."""
    bulk.users.upsert_many([a_user(1), a_user(2)])
    run_out_of_time(bulk, stub, clock, page=30)
    bulk.users.upsert(a_user(2, version=1))
    report = bulk()
    assert (report.status, report.orphans_found, report.deleted) == ("completed", 1, 1)
    assert rows(connection).keys() == shown(stub) | {user_id(2)}


def test_the_watermark_is_the_beginning_of_the_walk(
    bulk: Bulk,
    stub: StubClerk,
    connection: psycopg.Connection,
    database: Database,
    clock: RunClock,
) -> None:
    """Who changed between its runs, in a window that was done, is found afterwards."""
    first = run_out_of_time(bulk, stub, clock, page=50)
    connection.execute("UPDATE sync_runs SET started_at = started_at - interval '1 h'")
    began_at = rows(connection, "sync_runs")[first.run_id]["started_at"]
    recently = int(began_at.timestamp() * 1000) + 20 * 60_000
    written = sorted(rows(connection))
    for clerk_id in written[: 2 * PAGE]:
        stub.update_user(clerk_id, first_name="Renamed", updated_at=recently)
    between = recently - 15 * 60_000
    stub.update_user(written[-1], first_name="Renamed", updated_at=between)
    report = bulk()
    assert (report.status, report.continues) == ("completed", first.run_id)
    assert rows(connection)[written[-1]]["first_name"] != "Renamed"
    ledger = RunLedger(database, "public")
    by_clerks_clock = timedelta(milliseconds=report.clerk_ahead_ms)
    assert ledger.watermark(stub.instance_id) == began_at + by_clerks_clock
    assert abs(by_clerks_clock) < timedelta(minutes=5)
    assert bulk("incremental").updated == 2 * PAGE + 1
    assert rows(connection)[written[-1]]["first_name"] == "Renamed"


def test_who_is_deleted_between_the_runs_is_swept_by_the_one_after(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, clock: RunClock
) -> None:
    """The walk has listed them alive; a cursor of the checkpoint may be among them."""
    first = run_out_of_time(bulk, stub, clock, page=30)
    for window in windows_left(connection, first):
        if "cursor" in window:
            stub.delete_user(window["cursor"])
    report = bulk()
    assert (report.status, report.continues) == ("completed", first.run_id)
    assert rows(connection).keys() > shown(stub)
    assert bulk().status == "completed"
    assert rows(connection).keys() == shown(stub)


@pytest.mark.parametrize("mode", ["full", "cleanup", "incremental"])
def test_every_mode_that_walks_everything_is_gone_on_with(
    *,
    bulk: Bulk,
    stub: StubClerk,
    connection: psycopg.Connection,
    clock: RunClock,
    mode: str,
) -> None:
    """Incremental does where there is no watermark yet; it sweeps nobody even then."""
    bulk.users.upsert_many([a_user(1)])
    first = run_out_of_time(bulk, stub, clock, page=30, mode=mode)
    report = bulk(mode)
    assert (report.status, report.continues) == ("completed", first.run_id)
    assert first.fetched + report.fetched == USERS
    expected = set() if mode == "cleanup" else shown(stub)
    if mode == "incremental":
        expected |= {user_id(1)}
    assert rows(connection).keys() == expected


def test_a_change_between_the_runs_is_seen_where_the_walk_has_not_been(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, clock: RunClock
) -> None:
    """And elsewhere by the next run."""
    run_out_of_time(bulk, stub, clock, page=30)
    renamed, deleted = miss_two(stub)
    bulk()
    bulk()
    table = rows(connection)
    assert table[renamed]["first_name"] == "Renamed"
    assert deleted not in table
    assert table.keys() == shown(stub)
