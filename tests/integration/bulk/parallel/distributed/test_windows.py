"""The windows of a shared run: planned, failed, repeated, interrupted."""

import json
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clerksync.clerk.rate_limit import RateLimiter
from functions.bulk_sync import app
from local.stub_clerk.faults import Fault, StubRequest
from local.stub_clerk.stub import StubClerk
from tests.clock import RunClock
from tests.integration.bulk.bulk import miss_two
from tests.integration.bulk.parallel.conftest import USERS
from tests.integration.bulk.parallel.distributed.machine import (
    JSON,
    Machine,
    failed,
)
from tests.integration.bulk.parallel.walks import late_from
from tests.people import shown
from tests.tables import rows


def deleted(report: JSON, connection: psycopg.Connection, orphan: str) -> bool:
    assert (orphan in rows(connection)) is (report["deleted"] == 0)
    return bool(report["deleted"])


@settings(
    max_examples=8,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    ages=st.lists(st.integers(0, 10**11), max_size=30),
    moment=st.integers(0, 10**11),
    inclusive=st.booleans(),
)
def test_everybody_is_walked_in_one_window(
    machine: Machine,
    clerk: StubClerk,
    *,
    ages: list[int],
    moment: int,
    inclusive: bool,
) -> None:
    """However sign-ups and imports lie in time, and whichever way bounds are taken."""
    clerk.listing.bounds_inclusive = inclusive
    newest = clerk.get_user(clerk.ids()[-1])["created_at"]
    for age in [*ages, *[moment] * 20]:
        clerk.create_user(created_at=newest - age, notify=False)
    plan = machine.plan()
    parts = [machine.walk(plan, part) for part in plan["parts"]]
    assert sum(part["counts"]["fetched"] for part in parts) == clerk.count
    assert machine.finish(plan, parts)["status"] == "completed"


def test_windows_meet_and_are_about_equally_large(machine: Machine) -> None:
    """From the beginning of time until the run began."""
    parts = machine.plan()["parts"]
    (windows,) = zip(*(part["windows"] for part in parts), strict=True)
    assert windows[0]["start"] is None
    for one, after in pairwise(windows):
        assert one["end"] == after["start"]
    assert sum(part["users"] for part in parts) == USERS
    assert max(part["users"] for part in parts) <= USERS / 6


@pytest.mark.parametrize(
    ("windows_at_once", "limit", "share"), [(1, 900, 900), (5, 900, 180), (3, 2, 1)]
)
def test_the_limit_is_shared_out_among_windows(
    *,
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
    windows_at_once: int,
    limit: int,
    share: int,
) -> None:
    """All windows at once ask no more often than one function may."""
    monkeypatch.setenv("CLERKSYNC_RATE_LIMIT", str(limit))
    limits: list[int] = []
    set_limit = RateLimiter.set_limit

    def note(limiter: RateLimiter, number: int) -> None:
        limits.append(number)
        set_limit(limiter, number)

    monkeypatch.setattr(RateLimiter, "set_limit", note)
    monkeypatch.setattr(RateLimiter, "seconds_to_wait", lambda _: 0.0)
    plan = machine.plan(concurrency=windows_at_once)
    assert plan["concurrency"] == min(windows_at_once, limit)
    assert plan["run"]["rate_limit"] == share
    assert limits.pop() == limit
    machine.walk(plan, plan["parts"][0])
    assert limits.pop() == share


def test_fewer_windows_than_could_be_walked_at_once_have_larger_shares(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the limit is left to nobody. It is that of the kind of instance."""
    monkeypatch.delenv("CLERKSYNC_RATE_LIMIT")
    monkeypatch.setattr("clerksync.bulk.distributed_windows._USERS_AT_LEAST", 10**6)
    plan = machine.plan(concurrency=5)
    assert (plan["concurrency"], plan["run"]["rate_limit"]) == (1, 900)


def test_a_failed_window_leaves_the_run_partial_and_deletes_nobody(
    machine: Machine, clerk: StubClerk, connection: psycopg.Connection
) -> None:
    """Whatever the others found is written; the next run sweeps."""
    machine()
    renamed, orphan = miss_two(clerk)
    plan = machine.plan()
    first, *others = plan["parts"]
    parts = [failed(first), *(machine.walk(plan, part) for part in others)]
    report = machine.finish(plan, parts)
    assert report["status"] == "partial"
    assert "Lambda.Unknown" in report["reason"]
    assert not deleted(report, connection, orphan)
    assert deleted(machine(), connection, orphan)
    assert rows(connection)[renamed]["first_name"] == "Renamed"


def test_a_window_that_clerk_breaks_off_keeps_what_it_counted(
    machine: Machine, clerk: StubClerk, connection: psycopg.Connection
) -> None:
    """It is no error of the function; others go on, and the report has them all."""
    machine()
    orphan = miss_two(clerk)[1]
    plan = machine.plan()
    first, *others = plan["parts"]
    asked = 0

    def refuse(request: StubRequest) -> Fault | None:
        nonlocal asked
        asked += "created_at_before" in request.query
        return Fault(status=403) if asked > 3 else None

    clerk.interfere = refuse
    broken = machine.walk(plan, first)
    clerk.reset_faults()
    assert broken["status"] == "failed"
    assert 0 < broken["counts"]["fetched"] < first["users"]
    parts = [broken, *(machine.walk(plan, part) for part in others)]
    report = machine.finish(plan, parts)
    assert report["status"] == "partial"
    assert report["fetched"] == sum(part["counts"]["fetched"] for part in parts)
    assert not deleted(report, connection, orphan)


def test_a_run_without_any_window_has_failed(machine: Machine) -> None:
    """As when the state machine could not walk at all."""
    report = machine.finish(machine.plan(), [])
    assert (report["status"], report["deleted"]) == ("failed", 0)


def test_windows_that_were_never_answered_for_are_missed(
    machine: Machine, clerk: StubClerk, connection: psycopg.Connection
) -> None:
    """A list of parts that is too short is no complete walk."""
    machine()
    orphan = miss_two(clerk)[1]
    plan = machine.plan()
    parts = [machine.walk(plan, part) for part in plan["parts"]]
    report = machine.finish(plan, parts[1:])
    assert report["status"] == "partial"
    assert not deleted(report, connection, orphan)


def test_a_short_listing_deletes_nobody(
    machine: Machine, clerk: StubClerk, connection: psycopg.Connection
) -> None:
    """Although every window says that it is done: only the ledger is believed."""
    machine()
    orphan = miss_two(clerk)[1]
    plan = machine.plan()
    parts = [machine.walk(plan, part) for part in plan["parts"]]
    connection.execute(
        "UPDATE sync_run_listed SET clerk_ids = clerk_ids[2:]"
        " WHERE ctid = (SELECT max(ctid) FROM sync_run_listed)"
    )
    report = machine.finish(plan, parts)
    assert report["status"] == "partial"
    assert "Clerk counts" in report["reason"]
    assert not deleted(report, connection, orphan)


def test_a_window_walked_twice_does_no_harm(
    machine: Machine, clerk: StubClerk, connection: psycopg.Connection
) -> None:
    """As when Lambda's answer is lost, and the state machine asks again."""
    machine()
    orphan = miss_two(clerk)[1]
    plan = machine.plan()
    for part in plan["parts"]:
        machine.walk(plan, part)
    report = machine.finish(plan, [machine.walk(plan, p) for p in plan["parts"]])
    assert (report["status"], report["fetched"]) == ("completed", clerk.count)
    assert deleted(report, connection, orphan)
    assert rows(connection).keys() == shown(clerk)


def test_a_window_out_of_time_goes_on_where_it_stood(
    machine: Machine, clerk: StubClerk, connection: psycopg.Connection, clock: RunClock
) -> None:
    """With its counts; what it has left is small enough for the state machine."""
    plan = machine.plan()
    parts = []
    interrupted = 0
    for part in plan["parts"]:
        clerk.interfere = late_from("order_by", 4, clock)
        first = machine.walk_once(plan, part)
        clerk.interfere = None
        interrupted += first["status"] == "unfinished"
        assert first["counts"]["fetched"] > 0
        assert not any(window.get("done") for window in first["windows"])
        assert len(json.dumps(first)) < 10_000
        parts.append(machine.walk(plan, first))
    assert interrupted > len(parts) / 2
    report = machine.finish(plan, parts)
    assert report["status"] == "completed"
    assert report["fetched"] == USERS
    assert report["created"] == len(shown(clerk))
    assert rows(connection).keys() == shown(clerk)


def test_a_window_that_has_seen_nobody_in_all_its_time_has_failed(
    machine: Machine, clerk: StubClerk, clock: RunClock
) -> None:
    """Else it would go on so for ever."""
    plan = machine.plan()

    def late(_: StubRequest) -> None:
        clock.put_forward(100)

    clerk.interfere = late
    part = machine.walk(plan, plan["parts"][0])
    clerk.interfere = None
    assert part["status"] == "failed"
    assert "time" in part["reason"]


def test_a_window_raises_what_the_database_raises(
    machine: Machine, environment: pytest.MonkeyPatch
) -> None:
    """So that the state machine asks again."""
    plan = machine.plan()
    app.database.close()
    environment.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(app.BulkSyncFailedError, match="DATABASE_URL"):
        machine.walk(plan, plan["parts"][0])


def test_the_largest_plan_is_small_enough_for_the_state_machine(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """256 KB is the most that goes from one state to the next; AWS counts bytes."""
    monkeypatch.setattr("clerksync.bulk.distributed_windows._USERS_AT_LEAST", 1)
    plan = machine.plan()
    assert 100 < len(plan["parts"]) <= 200
    most: dict[str, Any] = dict.fromkeys(plan["parts"][0]["counts"], 10**9)
    reason = "Clerk cannot be asked: no answer. " * 10
    parts = [part | {"counts": most, "reason": reason} for part in plan["parts"]]
    assert len(json.dumps(plan | {"parts": parts})) < 200_000
