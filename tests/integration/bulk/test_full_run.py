"""A full run: what it makes of the table, the ledger, and what it leaves alone."""

import psycopg
import pytest

from clerksync.bulk.report import Report
from clerksync.errors import DatabaseUnreachableError
from clerksync.postgres.database import Database
from local.stub_clerk.faults import StubRequest
from local.stub_clerk.stub import StubClerk
from tests.integration.bulk.bulk import Bulk, miss_two
from tests.people import shown
from tests.tables import footprint, rows


def test_a_full_run_makes_the_table_equal_to_clerk(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """Every user with an email has a row and a rate limit; the others are skipped."""
    report = bulk()
    assert report.status == "completed"
    assert (report.fetched, report.created) == (1_200, len(shown(stub)))
    assert rows(connection).keys() == shown(stub)
    assert rows(connection, "rate_limits").keys() == shown(stub)


def test_a_run_without_change_writes_and_locks_no_row(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """But for the ledger's own."""
    bulk()
    before = footprint(connection)
    report = bulk()
    assert report.unchanged == len(shown(stub))
    assert footprint(connection) == before


def test_a_run_finds_what_was_missed(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """A sign-up, a change and a deletion that no webhook told of."""
    bulk()
    first, second = miss_two(stub)
    new = stub.create_user(email="new@example.com")["id"]
    report = bulk()
    assert report.status == "completed"
    counts = report.created, report.updated, report.deleted, report.orphans_found
    assert counts == (1, 1, 1, 1)
    table = rows(connection)
    assert table[new]["email"] == "new@example.com"
    assert table[first]["first_name"] == "Renamed"
    assert second not in table
    assert rows(connection, "sync_state")[second]["deleted_at"] is not None


def test_the_ledger_records_the_run_and_forgets_its_listing(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """Mode, status, instance, times and the report itself."""
    report = bulk()
    (run,) = rows(connection, "sync_runs").values()
    assert (run["mode"], run["status"]) == ("full", "completed")
    assert run["instance_id"] == stub.instance_id
    assert run["finished_at"] > run["started_at"]
    assert run["report"] == report.as_json()
    assert rows(connection, "sync_run_listed") == {}


def test_a_dry_run_tells_and_writes_only_to_the_ledger(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """It counts what a real run would do, orphans included."""
    bulk()
    miss_two(stub)
    before = rows(connection), rows(connection, "sync_state")
    report = bulk(dry_run=True)
    assert (report.updated, report.orphans_found, report.deleted) == (1, 1, 0)
    assert (rows(connection), rows(connection, "sync_state")) == before


def test_an_unreadable_user_fails_alone_and_is_no_orphan(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """Its row stays as it was; the run is partial and says how many."""
    bulk()
    clerk_id = min(shown(stub))
    stub.users.replace(stub.get_user(clerk_id) | {"first_name": 5})
    report = bulk()
    assert (report.status, report.failed) == ("partial", 1)
    assert clerk_id in rows(connection)


def test_two_runs_at_once_do_no_harm(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, database_url: str
) -> None:
    """The second begins and ends while the first is in mid-walk."""
    other = Bulk(Database(lambda: database_url))
    reports: list[Report] = []

    def overtake(request: StubRequest) -> None:
        if "starting_after" in request.query and not reports:
            stub.interfere = None
            reports.append(other())

    stub.interfere = overtake
    reports.append(bulk())
    other.database.close()
    assert [report.status for report in reports] == ["completed", "completed"]
    assert rows(connection).keys() == shown(stub)


@pytest.mark.usefixtures("stub")
def test_without_a_database_there_is_no_report_but_an_error() -> None:
    """It says what to check."""
    database = Database(lambda: "postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(DatabaseUnreachableError, match="DATABASE_URL"):
        Bulk(database)()
