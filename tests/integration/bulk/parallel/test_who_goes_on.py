"""Which run takes over an unfinished walk, and which does not."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from clerksync.bulk.report import Report
from clerksync.bulk.run_ledger import Run, RunLedger
from clerksync.postgres.database import Database
from local.stub_clerk.faults import StubRequest
from local.stub_clerk.stub import StubClerk
from tests.clock import RunClock
from tests.doors import ask_this_clerk
from tests.integration.bulk.bulk import Bulk
from tests.integration.bulk.parallel.conftest import USERS
from tests.integration.bulk.parallel.walks import from_page, run_out_of_time
from tests.people import shown
from tests.tables import rows

HOUR = timedelta(hours=1)


@pytest.fixture
def other(database_url: str) -> Iterator[Bulk]:
    """Bulk sync over a connection of its own."""
    database = Database(lambda: database_url)
    yield Bulk(database)
    database.close()


def checkpoints(connection: psycopg.Connection) -> list[Any]:
    runs = rows(connection, "sync_runs").values()
    return [run["checkpoint"] for run in runs if run["checkpoint"] is not None]


@pytest.mark.parametrize(
    "request_",
    [{"mode": "cleanup"}, {"mode": "incremental"}, {"dry_run": True}],
    ids=["cleanup", "incremental", "dry run"],
)
def test_a_run_of_another_kind_leaves_the_checkpoint_to_the_next_of_its_own(
    *,
    bulk: Bulk,
    stub: StubClerk,
    connection: psycopg.Connection,
    clock: RunClock,
    request_: dict[str, Any],
) -> None:
    """What a full run has begun, a full run goes on with."""
    first = run_out_of_time(bulk, stub, clock, page=30)
    report = bulk(**request_)
    assert (report.status, report.continues) == ("completed", None)
    assert report.fetched == USERS
    assert len(checkpoints(connection)) == 1
    report = bulk()
    assert (report.status, report.continues) == ("completed", first.run_id)
    assert first.fetched + report.fetched == USERS


def test_a_dry_run_out_of_time_leaves_nothing_to_go_on_from(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, clock: RunClock
) -> None:
    """It has written nobody."""
    stub.interfere = from_page(30, lambda _: clock.put_forward(100))
    report = bulk(dry_run=True, deadline=clock.now() + 60)
    assert (report.status, report.out_of_time) == ("partial", False)
    assert "next run" not in str(report.reason)
    assert checkpoints(connection) == []
    assert rows(connection, "sync_run_listed") == {}


@pytest.mark.parametrize(("minutes_ago", "is_resumed"), [(50, True), (70, False)])
def test_a_walk_is_resumed_within_an_hour_of_its_last_run(
    *,
    bulk: Bulk,
    stub: StubClerk,
    connection: psycopg.Connection,
    clock: RunClock,
    minutes_ago: int,
    is_resumed: bool,
) -> None:
    """Later, a run starts over: completed means that everything was looked at."""
    first = run_out_of_time(bulk, stub, clock, page=30)
    connection.execute(
        "UPDATE sync_runs SET started_at = started_at - make_interval(mins => %s),"
        " finished_at = finished_at - make_interval(mins => %s)",
        [minutes_ago, minutes_ago],
    )
    report = bulk()
    assert report.status == "completed"
    assert report.continues == (first.run_id if is_resumed else None)
    assert report.fetched == USERS - (first.fetched if is_resumed else 0)


def test_a_walk_older_than_a_day_is_begun_anew(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, clock: RunClock
) -> None:
    """What it had listed is forgotten."""
    run_out_of_time(bulk, stub, clock, page=30)
    connection.execute("UPDATE sync_runs SET started_at = now() - interval '25 hours'")
    report = bulk()
    assert (report.status, report.continues) == ("completed", None)
    assert report.fetched == USERS
    assert rows(connection, "sync_run_listed") == {}


def test_the_age_of_a_walk_is_that_of_its_first_run(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, clock: RunClock
) -> None:
    """However recently a run has gone on with it."""
    first = run_out_of_time(bulk, stub, clock, page=15)
    assert run_out_of_time(bulk, stub, clock, page=15).continues == first.run_id
    connection.execute(
        "UPDATE sync_runs SET started_at = now() - interval '25 hours'"
        " WHERE run_id = %s",
        [first.run_id],
    )
    assert bulk().continues is None


def test_another_instance_does_not_go_on_with_it(
    bulk: Bulk, stub: StubClerk, clock: RunClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its users are others."""
    run_out_of_time(bulk, stub, clock, page=30)
    with StubClerk(users=30, seed=99) as another:
        ask_this_clerk(monkeypatch, another)
        report = bulk(force=True)
        assert (report.fetched, report.continues) == (30, None)


def test_after_another_instance_has_been_synced_a_walk_is_begun_anew(
    bulk: Bulk,
    stub: StubClerk,
    connection: psycopg.Connection,
    clock: RunClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That one's full run has deleted what the first walk had written."""
    run_out_of_time(bulk, stub, clock, page=30)
    with StubClerk(users=30, seed=99) as another:
        ask_this_clerk(monkeypatch, another)
        connection.execute("UPDATE users SET created_at = created_at - interval '1 h'")
        connection.execute("UPDATE sync_state SET synced_at = now() - interval '1 h'")
        assert bulk(force=True).deleted > USERS // 3
    ask_this_clerk(monkeypatch, stub)
    assert bulk(force=True).status == "completed"
    assert rows(connection).keys() >= shown(stub)


def test_a_completed_run_makes_the_checkpoint_of_a_run_beside_it_void(
    *,
    bulk: Bulk,
    stub: StubClerk,
    connection: psycopg.Connection,
    clock: RunClock,
    other: Bulk,
) -> None:
    """It has seen everybody since: there is nothing to go on with."""
    beside: list[Report] = []
    lock = threading.Lock()

    def overtake(_: StubRequest) -> None:
        with lock:
            if not beside:
                stub.interfere = None
                beside.append(other())
                clock.put_forward(100)

    stub.interfere = from_page(20, overtake)
    broken = bulk(deadline=clock.now() + 60)
    assert (broken.status, broken.out_of_time) == ("partial", True)
    assert (beside[0].status, beside[0].continues) == ("completed", None)
    assert len(checkpoints(connection)) == 1
    report = bulk()
    assert (report.continues, report.fetched) == (None, USERS)
    assert rows(connection).keys() == shown(stub)


def test_of_two_runs_at_once_one_goes_on_and_the_other_begins_anew(
    *,
    bulk: Bulk,
    stub: StubClerk,
    connection: psycopg.Connection,
    clock: RunClock,
    other: Bulk,
) -> None:
    """Both complete, and the table is right."""
    first = run_out_of_time(bulk, stub, clock, page=20)
    reports: list[Report] = []
    lock = threading.Lock()

    def overtake(_: StubRequest) -> None:
        with lock:
            if not reports:
                stub.interfere = None
                reports.append(other())

    stub.interfere = from_page(5, overtake)
    reports.append(bulk())
    assert [report.status for report in reports] == ["completed"] * 2
    assert [report.continues for report in reports] == [None, first.run_id]
    assert reports[0].fetched == USERS
    # Rows that the other run wrote at the same moment may be looked at again.
    assert USERS - first.fetched <= reports[1].fetched < USERS
    assert rows(connection).keys() == shown(stub)
    assert checkpoints(connection) == []
    assert rows(connection, "sync_run_listed") == {}


def test_a_checkpoint_is_taken_over_once_however_many_want_it(
    stub: StubClerk, bulk: Bulk, database_url: str, clock: RunClock
) -> None:
    """All at the same moment, each over its own connection; nobody waits or fails."""
    first = run_out_of_time(bulk, stub, clock, page=20)
    start = threading.Barrier(6)
    taken: list[tuple[Run, dict[str, Any]] | None] = []

    def take() -> None:
        database = Database(lambda: database_url)
        ledger = RunLedger(database, "public")
        run = ledger.begin("full", dry_run=False)
        start.wait(60)
        taken.append(
            ledger.take_over(
                run, mode="full", instance_id=stub.instance_id, within=HOUR
            )
        )
        database.close()

    threads = [threading.Thread(target=take) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(taken) == 6
    ((run, checkpoint),) = (found for found in taken if found is not None)
    assert run.walk_id == first.run_id
    assert len(checkpoint["windows"]) == first.windows


def test_a_run_that_dies_after_taking_over_leaves_the_next_to_begin_anew(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, clock: RunClock
) -> None:
    """Its ledger says running for ever; nobody waits for it."""
    run_out_of_time(bulk, stub, clock, page=20)
    ledger = RunLedger(bulk.database, "public")
    dead = ledger.begin("full", dry_run=False)
    assert ledger.take_over(
        dead, mode="full", instance_id=stub.instance_id, within=HOUR
    )
    report = bulk()
    assert (report.status, report.continues) == ("completed", None)
    assert rows(connection).keys() == shown(stub)
