"""Incremental runs: what they cost, and what they leave to others."""

import psycopg
import pytest

from local.stub_clerk.stub import StubClerk
from tests.clock import RunClock
from tests.integration.bulk.bulk import Bulk
from tests.integration.bulk.parallel.conftest import PAGE
from tests.integration.bulk.parallel.walks import late_from, run_out_of_time
from tests.people import a_user, shown, user_id
from tests.tables import footprint, rows

# At each step so many users are read a second time.
OVERLAP = 20


@pytest.fixture
def synced(bulk: Bulk, stub: StubClerk) -> Bulk:
    """Everybody is in the table, and nobody has changed in the last minutes."""
    assert bulk().status == "completed"
    stub.reset_requests()
    return bulk


def rename(stub: StubClerk, number: int) -> set[str]:
    renamed = set(sorted(shown(stub))[:number])
    for clerk_id in renamed:
        stub.update_user(clerk_id, first_name="Renamed")
    return renamed


@pytest.mark.parametrize("changed", [0, 30, 300, 900])
def test_requests_and_writes_are_in_proportion_to_what_changed(
    synced: Bulk, stub: StubClerk, connection: psycopg.Connection, changed: int
) -> None:
    """None, one, ten and thirty percent: just those rows are written."""
    renamed = rename(stub, changed)
    before = {row[1] for row in footprint(connection, "users")}
    report = synced("incremental")
    after = {row[1] for row in footprint(connection, "users")}
    assert (report.status, report.updated) == ("completed", changed)
    assert report.requests == stub.requests
    assert report.requests <= 3 + changed // (PAGE - OVERLAP)
    assert len(after - before) == changed
    table = rows(connection).items()
    assert {i for i, row in table if row["first_name"] == "Renamed"} == renamed


def test_it_sweeps_nobody_and_asks_for_nobody_by_id(
    synced: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """Who is gone from Clerk, and an orphan, wait for a run that sees everybody."""
    synced.users.upsert(a_user(1))
    gone = max(shown(stub))
    stub.delete_user(gone)
    report = synced("incremental", force=True)
    assert (report.status, report.orphans_found, report.deleted) == ("completed", 0, 0)
    assert {gone, user_id(1)} <= rows(connection).keys()
    assert not any("user_id" in request.query for request in stub.request_log)


def test_it_does_not_go_on_with_the_walk_of_a_full_run(
    synced: Bulk, stub: StubClerk, connection: psycopg.Connection, clock: RunClock
) -> None:
    """That one's checkpoint is still there for the next full run."""
    broken = run_out_of_time(synced, stub, clock, page=30)
    stub.reset_requests()
    report = synced("incremental")
    assert (report.status, report.continues) == ("completed", None)
    assert stub.requests == 2
    assert rows(connection, "sync_runs")[broken.run_id]["checkpoint"] is not None
    assert synced().continues == broken.run_id


def test_a_watermark_is_left_by_completed_runs_only(
    synced: Bulk, stub: StubClerk, connection: psycopg.Connection, clock: RunClock
) -> None:
    """A run out of time writes what it has read; the next one reads all of it again.

    It goes by offset: there is no place in the listing to go on from.
    """
    renamed = rename(stub, 300)
    stub.interfere = late_from("offset", 5, clock)
    broken = synced("incremental", deadline=clock.now() + 60)
    stub.interfere = None
    assert (broken.status, broken.out_of_time) == ("partial", False)
    assert rows(connection, "sync_runs")[broken.run_id]["checkpoint"] is None
    assert PAGE <= broken.updated < 300
    report = synced("incremental")
    assert (report.status, report.continues) == ("completed", None)
    assert broken.updated + report.updated == len(renamed)
