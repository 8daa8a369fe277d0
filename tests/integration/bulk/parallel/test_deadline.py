"""A run whose time ends in mid-walk or in mid-sweep, and what it leaves."""

import itertools
import threading
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from clerksync.bulk.report import Report
from clerksync.clerk.retry import BULK
from local.stub_clerk.faults import Fault, StubRequest
from local.stub_clerk.stub import StubClerk
from tests.clock import RunClock
from tests.integration.bulk.bulk import Bulk
from tests.integration.bulk.parallel.conftest import PAGE, USERS
from tests.integration.bulk.parallel.walks import (
    fetching_threads,
    from_page,
    is_page,
    late_from,
    run_out_of_time,
)
from tests.people import a_user, shown, user_id
from tests.tables import rows
from tests.terminal import eventually

ORPHANS = 150


def checkpoint(connection: psycopg.Connection, report: Report) -> Any:
    return rows(connection, "sync_runs")[report.run_id]["checkpoint"]


def test_a_run_out_of_time_ends_partial_and_says_that_the_next_goes_on(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, clock: RunClock
) -> None:
    """All that had been fetched is written, and nobody is swept."""
    bulk.users.upsert(a_user(1))
    report = run_out_of_time(bulk, stub, clock, page=20)
    assert (report.status, report.out_of_time) == ("partial", True)
    assert "The time of the run was over." in str(report.reason)
    assert "The next run goes on from there." in str(report.reason)
    assert 10 * PAGE < report.fetched < USERS
    assert (report.orphans_found, report.deleted) == (0, 0)
    table = rows(connection)
    assert len(table) == report.created + 1
    assert user_id(1) in table
    assert eventually(lambda: fetching_threads() == [])
    recorded = rows(connection, "sync_runs")[report.run_id]
    assert (recorded["status"], recorded["report"]) == ("partial", report.as_json())
    assert len(rows(connection, "sync_run_listed")) == 1


def test_a_checkpoint_tells_which_windows_are_done_and_where_the_others_stand(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, clock: RunClock
) -> None:
    """They are the whole life of the instance, and hold what was written."""
    report = run_out_of_time(bulk, stub, clock, page=50)
    kept = checkpoint(connection, report)
    windows = kept["windows"]
    assert kept["expected"] == USERS
    assert len(windows) == report.windows
    assert windows[0]["start"] is None
    began_at = rows(connection, "sync_runs")[report.run_id]["started_at"]
    # The date of Clerk's response is rounded to a second.
    assert began_at.timestamp() * 1000 < windows[-1]["end"] <= stub.now() + 1_000
    starts = [window["start"] for window in windows[1:]]
    assert starts == [window["end"] for window in windows[:-1]]
    assert any(window.get("done") for window in windows)
    places = [window for window in windows if "cursor" in window]
    assert places
    listed = {user_id for (ids,) in listed_ids(connection) for user_id in ids}
    for window in places:
        assert window["cursor"] in listed
        assert stub.get_user(window["cursor"])["created_at"] == window["reached"]


def listed_ids(connection: psycopg.Connection) -> list[tuple[list[str]]]:
    return connection.execute("SELECT clerk_ids FROM sync_run_listed").fetchall()


def test_answers_on_their_way_at_the_end_are_still_written(
    *,
    bulk: Bulk,
    stub: StubClerk,
    connection: psycopg.Connection,
    clock: RunClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A page that comes a moment too late is not thrown away."""
    monkeypatch.setattr("clerksync.clerk.api.GRACE_SECONDS", 60.0)

    def come_late(_: StubRequest) -> Fault:
        clock.put_forward(0.2)
        # Really so long: the connection must not be cut when the time is over.
        return Fault(delay_ms=200)

    stub.interfere = from_page(1, come_late)
    report = bulk(deadline=clock.now() + 0.1)
    assert (report.status, report.out_of_time) == ("partial", True)
    assert report.fetched == PAGE
    assert len(rows(connection, "sync_state")) == PAGE


def test_an_answer_that_takes_too_long_is_not_waited_for(
    bulk: Bulk, stub: StubClerk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What other workers fetched is written without it."""
    clock = RunClock(monkeypatch)
    fetch_clock = SimpleNamespace(monotonic=clock.now)
    monkeypatch.setattr("clerksync.bulk.fetch.time", fetch_clock)
    monkeypatch.setattr("clerksync.bulk.fetch.GRACE_SECONDS", 0.1)
    monkeypatch.setattr("clerksync.bulk.fetch._LAST_SECONDS", 0.1)
    pages, lock, released = 0, threading.Lock(), threading.Event()

    def hang(request: StubRequest) -> None:
        nonlocal pages
        if not is_page(request):
            return
        with lock:
            pages += 1
            page = pages
        if page in (30, 31):
            released.wait(120)
        if page == 40:
            clock.put_forward(100)

    stub.interfere = hang
    report = bulk(deadline=clock.now() + 60)
    assert len(fetching_threads()) == 2, "they still wait"
    assert (report.status, report.out_of_time) == ("partial", True)
    assert report.fetched >= 10 * PAGE
    released.set()
    assert eventually(lambda: fetching_threads() == [])


def test_a_deadline_while_clerk_wants_to_be_left_alone_is_a_deadline(
    bulk: Bulk, stub: StubClerk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no outage: in Lambda only a run out of time is gone on with at once."""
    monkeypatch.setattr("tests.integration.bulk.bulk.PATIENT", BULK)
    clock, refused = RunClock(monkeypatch), itertools.count()

    def refuse(_: StubRequest) -> Fault:
        if next(refused) == 0:
            clock.put_forward(59.8)
        return Fault(status=429, headers={"Retry-After": "120"})

    stub.interfere = from_page(10, refuse)
    report = bulk(deadline=clock.now() + 60)
    assert (report.status, report.out_of_time) == ("partial", True)


def test_without_time_for_a_single_page_there_is_nothing_to_go_on_from(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, clock: RunClock
) -> None:
    """It has failed, and a chain of such runs would lead nowhere."""
    report = bulk(deadline=clock.now())
    assert (report.status, report.out_of_time, report.requests) == ("failed", False, 0)
    assert checkpoint(connection, report) is None
    assert stub.requests == 0


def test_a_deadline_in_the_sweep_is_gone_on_with_in_the_sweep(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, clock: RunClock
) -> None:
    """A hundred orphans are deleted, the rest by the next run, which lists nobody."""
    bulk.users.upsert_many([a_user(number) for number in range(ORPHANS)])
    stub.interfere = late_from("user_id", 1, clock)
    first = bulk(deadline=clock.now() + 60)
    assert (first.status, first.fetched, first.deleted) == ("partial", USERS, 100)
    assert all(window["done"] for window in checkpoint(connection, first)["windows"])
    stub.interfere = None
    stub.reset_requests()
    second = bulk()
    assert (second.status, second.fetched, second.deleted) == ("completed", 0, 50)
    assert not any(map(is_page, stub.request_log))
    assert rows(connection).keys() == shown(stub)


def test_a_second_deadline_in_the_sweep_is_partial_again(
    bulk: Bulk, stub: StubClerk, clock: RunClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It listed nobody, since that had been done, and yet got on."""
    monkeypatch.setenv("CLERKSYNC_MAX_ORPHAN_RATIO", "0.2")
    bulk.users.upsert_many([a_user(number) for number in range(250)])
    stub.interfere = late_from("user_id", 1, clock)
    assert bulk(deadline=clock.now() + 60).deleted == 100
    stub.interfere = late_from("user_id", 1, clock)
    second = bulk(deadline=clock.now() + 60)
    assert (second.deleted, second.out_of_time) == (100, True)
    assert second.status == "partial"
