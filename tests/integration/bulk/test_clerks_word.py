"""Only Clerk speaks for Clerk: responses of others, its clock, and a stuck listing."""

import json
from datetime import timedelta

import psycopg
import pytest

from local.stub_clerk.faults import Fault, StubRequest
from local.stub_clerk.stub import StubClerk
from tests.foreign_responses import FOREIGN, NOT_FOUND, OTHERS
from tests.integration.bulk.bulk import Bulk, miss_two
from tests.people import shown
from tests.tables import rows


def whenever(stub: StubClerk, fault: Fault, *, part: str) -> None:
    """Let every request fail whose path or query contains `part`."""

    def fail(request: StubRequest) -> Fault | None:
        return fault if part in f"{request.path}?{request.query}" else None

    stub.interfere = fail


@pytest.mark.parametrize("name", NOT_FOUND)
def test_a_404_of_something_else_deletes_nobody(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, name: str
) -> None:
    """A run for one user fails, and reports what was received."""
    bulk()
    clerk_id = min(shown(stub))
    whenever(stub, NOT_FOUND[name], part=f"/v1/users/{clerk_id}")
    report = bulk("user", user_id=clerk_id)
    assert (report.status, report.deleted) == ("failed", 0)
    assert "status 404" in str(report.reason)
    assert clerk_id in rows(connection)


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_response_proves_no_orphan(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, name: str
) -> None:
    """A full run that asks for its orphans by ID, and hears somebody else."""
    bulk()
    _, deleted = miss_two(stub)
    whenever(stub, FOREIGN[name], part="'user_id'")
    report = bulk()
    if name == "another code":  # for a listing, it is a refusal of Clerk's
        assert "organization_not_found" in str(report.reason)
    assert (report.status, report.deleted) == ("partial", 0)
    assert deleted in rows(connection)


@pytest.mark.parametrize("name", OTHERS)
def test_a_foreign_response_that_passes_is_waited_out(
    bulk: Bulk, stub: StubClerk, name: str
) -> None:
    """One firewall page does not end a run."""
    stub.fail_next(3, fault=OTHERS[name])
    assert bulk().status == "completed"


def test_a_user_is_gone_by_clerks_404_after_the_instance_was_asked(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """A key of a different instance would know nobody."""
    bulk()
    clerk_id = min(shown(stub))
    stub.delete_user(clerk_id)
    stub.reset_requests()
    assert bulk("user", user_id=clerk_id).deleted == 1
    asked = [request.path for request in stub.request_log]
    assert asked == ["/v1/instance", f"/v1/users/{clerk_id}"]
    assert clerk_id not in rows(connection)


# Clocks. The database's is the machine's: the stub's is moved instead.


def test_a_full_run_misses_nobody_if_the_databases_clock_is_behind(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """Ten minutes: the newest users are listed, and the run reports the clocks."""
    stub.clock_ahead_s = 600
    newest = {stub.create_user(email=f"new{n}@example.com")["id"] for n in range(5)}
    report = bulk()
    assert report.status == "completed"
    assert newest <= rows(connection).keys()
    assert abs(report.clerk_ahead_ms - 600_000) < 60_000
    assert "behind Clerk's: let NTP set it" in str(report.reason)


def test_a_launch_is_not_refused_if_the_databases_clock_is_behind(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """Half of the users are newer than the database's clock, and were synced before."""
    stub.clock_ahead_s = 600
    for n in range(1_200):
        stub.create_user(email=f"new{n}@example.com", notify=False)
    assert bulk().status == "completed"
    connection.execute("UPDATE sync_state SET synced_at = now() - interval '1 hour'")
    report = bulk()
    assert (report.status, report.orphans_found) == ("completed", 0)
    assert report.unchanged == len(shown(stub))


def test_an_incremental_run_misses_nobody_if_the_databases_clock_is_ahead(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """Thirty minutes: users changed after the last run, and before it by its clock."""
    stub.clock_ahead_s = -1_800
    assert bulk().status == "completed"
    changed = sorted(shown(stub))[:700]
    for clerk_id in changed:
        stub.update_user(clerk_id, first_name="Renamed")
    report = bulk("incremental")
    assert (report.status, report.updated) == ("completed", 700)
    assert "ahead of Clerk's" in str(report.reason)
    table = rows(connection)
    assert {table[clerk_id]["first_name"] for clerk_id in changed} == {"Renamed"}


def test_a_user_created_after_the_walk_is_no_orphan_if_the_databases_clock_is_ahead(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """Its row says when Clerk created it: that is compared with Clerk's clock."""
    bulk()
    stub.clock_ahead_s = -1_800
    late = max(shown(stub))
    connection.execute(
        "UPDATE users SET clerk_created_at = now() - interval '15 min' WHERE id = %s",
        [late],
    )
    connection.execute("DELETE FROM sync_state WHERE clerk_id = %s", [late])
    stub.delete_user(late, notify=False)
    report = bulk()
    assert (report.status, report.orphans_found) == ("completed", 0)


@pytest.mark.parametrize(
    "headers",
    [
        {"Date": "soon"},
        {"Date": "Thu, 01 Jan 1970 00:00:00 GMT"},
        {"Date": "Fri, 01 Jan 2100 00:00:00 GMT"},
        {"Age": "86000", "Date": "Fri, 01 Jan 2100 00:00:00 GMT"},
    ],
    ids=["no date", "1970", "2100", "cached"],
)
def test_a_date_that_cannot_be_clerks_is_not_used(
    bulk: Bulk, stub: StubClerk, headers: dict[str, str]
) -> None:
    """The listing then ends by the database's clock."""
    body = stub.instance.json()
    whenever(
        stub,
        Fault(status=200, body=json.dumps(body), headers=headers),
        part="/instance",
    )
    report = bulk()
    assert (report.status, report.created) == ("completed", len(shown(stub)))
    assert report.clerk_ahead_ms == 0


# A listing that does not advance.


@pytest.mark.parametrize("mode", ["full", "incremental", "cleanup"])
def test_a_listing_that_does_not_advance_fails_after_a_few_pages(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, mode: str
) -> None:
    """A cache that ignores the place returns the first page again and again."""
    bulk()
    before = len(rows(connection))
    connection.execute(
        "UPDATE sync_runs SET started_at = started_at - %s", [timedelta(days=9_000)]
    )
    stub.listing.ignores_place = True
    stub.reset_requests()
    report = bulk(mode)
    assert report.status == "failed"
    assert "does not advance" in str(report.reason)
    assert stub.requests <= 12
    assert len(rows(connection)) == before
    stub.listing.ignores_place = False
    assert bulk(mode).status == "completed"
