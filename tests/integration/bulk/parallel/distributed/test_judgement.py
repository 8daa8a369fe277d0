"""What may end a shared run, and what may not: instance, orphans, being asked twice."""

import uuid

import psycopg
import pytest

from clerksync.bulk.job import Job, Setup
from clerksync.bulk.orphan_sweep import sweep
from clerksync.bulk.report import Report
from clerksync.bulk.request import BulkSyncRequest
from clerksync.clerk.retry import BULK
from clerksync.postgres.database import Database
from clerksync.settings.clerk_client import clerk_client
from clerksync.settings.environment import Settings
from functions.bulk_sync import app
from local.stub_clerk.faults import Fault, StubRequest
from local.stub_clerk.stub import StubClerk
from tests.doors import ask_this_clerk, log_lines
from tests.integration.bulk.bulk import miss_two
from tests.integration.bulk.parallel.distributed.machine import (
    JSON,
    ElsewhereMachine,
    Machine,
)
from tests.people import shown
from tests.tables import rows


def test_a_key_of_another_instance_is_refused_unless_forced(
    machine: Machine, connection: psycopg.Connection, environment: pytest.MonkeyPatch
) -> None:
    """By the plan: there is no window then, and one report."""
    machine()
    before = rows(connection)
    with StubClerk(users=3, seed=99) as other:
        ask_this_clerk(environment, other)
        report = machine.plan()
        assert (report["status"], report["fetched"]) == ("refused", 0)
        assert "parts" not in report
        assert rows(connection) == before
        stored = rows(connection, "sync_runs")[uuid.UUID(report["run_id"])]
        assert (stored["status"], stored["report"]) == ("refused", report)
        assert machine.plan(force=True)["status"] == "running"


def test_a_key_that_changes_in_the_middle_of_a_run_ends_it(
    machine: Machine,
    clerk: StubClerk,
    connection: psycopg.Connection,
    environment: pytest.MonkeyPatch,
) -> None:
    """Settings are read anew by each window: what is of another instance is not
    walked, and nobody is asked about by id."""
    machine()
    before = rows(connection)
    plan = machine.plan()
    parts = [machine.walk(plan, part) for part in plan["parts"]]
    with StubClerk(users=3, seed=99) as other:
        ask_this_clerk(environment, other)
        part = machine.walk(plan, plan["parts"][0])
        assert (part["status"], part["counts"]["fetched"]) == ("failed", 0)
        clerk.delete_user(min(before))
        report = machine.finish(plan, parts)
        asked = {request.path for request in other.request_log}
    assert report["status"] == "partial"
    assert "another instance" in report["reason"]
    assert rows(connection) == before
    assert asked == {"/v1/instance"}


def test_a_plan_that_clerk_breaks_off_has_failed(
    machine: Machine, clerk: StubClerk, connection: psycopg.Connection
) -> None:
    """With a report, in the ledger as well."""
    clerk.interfere = lambda _: Fault(status=401)
    report = machine.plan()
    assert report["status"] == "failed"
    assert "does not accept" in report["reason"]
    (run,) = rows(connection, "sync_runs").values()
    assert (run["status"], run["report"]) == ("failed", report)


def test_more_orphans_than_allowed_are_refused_unless_forced(
    machine: Machine, clerk: StubClerk, connection: psycopg.Connection
) -> None:
    """As by one function."""
    machine()
    size = len(rows(connection))
    for clerk_id in sorted(shown(clerk))[: size // 5]:
        clerk.delete_user(clerk_id)
    report = machine()
    assert (report["status"], report["deleted"]) == ("refused", 0)
    assert report["orphans_found"] == size // 5
    assert len(rows(connection)) == size
    assert machine(force=True)["deleted"] == size // 5
    assert rows(connection).keys() == shown(clerk)


def test_a_run_is_finished_once(
    machine: Machine,
    clerk: StubClerk,
    connection: psycopg.Connection,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Asked a second time, it answers the same, and deletes and counts nothing."""
    machine()
    miss_two(clerk)
    plan = machine.plan()
    parts = [machine.walk(plan, part) for part in plan["parts"]]
    report = machine.finish(plan, parts)
    assert report["deleted"] == 1
    capsys.readouterr()
    requests, before = clerk.requests, rows(connection)
    assert machine.finish(plan, parts) == report
    assert machine.finish(plan, []) == report
    assert machine.walk(plan, plan["parts"][0])["status"] == "failed"
    assert (clerk.requests, rows(connection)) == (requests, before)
    assert log_lines(capsys.readouterr().out, "bulk sync ended") == []


def test_who_is_overtaken_in_finishing_takes_nobody_for_gone(
    machine: Machine,
    clerk: StubClerk,
    connection: psycopg.Connection,
    database_url: str,
) -> None:
    """The other has ended the run and forgotten its listing meanwhile. What the ledger
    says stays what the first said."""
    machine()
    miss_two(clerk)
    plan = machine.plan(force=True)
    parts = [machine.walk(plan, part) for part in plan["parts"]]
    other, reports = ElsewhereMachine(database_url), []

    def overtake(request: StubRequest) -> None:
        if request.path == "/v1/users/count":
            clerk.interfere = None
            reports.append(other.finish(plan, parts))

    clerk.interfere = overtake
    machine.finish(plan, parts)
    (report,) = reports
    assert (report["status"], report["deleted"]) == ("completed", 1)
    stored = rows(connection, "sync_runs")[uuid.UUID(report["run_id"])]
    assert (stored["status"], stored["report"]) == ("completed", report)
    assert rows(connection).keys() == shown(clerk)


def test_a_run_that_has_ended_has_no_orphans(
    machine: Machine, connection: psycopg.Connection, database: Database
) -> None:
    """Not even when its end comes between the count of its listing and the sweep: no
    user is asked about by id, and nobody skipped is forgotten."""
    machine()
    plan = machine.plan()
    parts = [machine.walk(plan, part) for part in plan["parts"]]
    settings = Settings()
    setup, clerk = Setup.of(settings, database), clerk_client(settings, BULK)
    found = setup.ledger.find(uuid.UUID(plan["run"]["run_id"]))
    assert found is not None
    run = found[0]
    request = BulkSyncRequest(force=True)
    report = Report(run_id=run.run_id, mode=request.mode)
    listed = setup.ledger.count_listed(run)
    before = rows(connection), rows(connection, "sync_state")
    machine.finish(plan, parts)
    job, end = Job.of(setup, clerk, request), plan["run"]["created_before"]
    for counts in sweep(job, run, listed=listed, created_before=end):
        report.add(counts)
    assert (report.orphans_found, report.deleted, clerk.requests) == (0, 0, 0)
    assert (rows(connection), rows(connection, "sync_state")) == before


def test_a_listing_that_does_not_advance_fails_the_run(
    machine: Machine, clerk: StubClerk, connection: psycopg.Connection
) -> None:
    """After a few pages of each window, although some users were fetched."""
    clerk.listing.ignores_place = True
    report = machine()
    assert report["status"] == "failed"
    assert report["fetched"] > 0
    assert "does not advance" in report["reason"]
    assert report["deleted"] == 0
    assert clerk.requests < 100
    clerk.listing.ignores_place = False
    assert machine()["status"] == "completed"
    assert rows(connection).keys() == shown(clerk)


def test_the_listing_ends_by_clerks_clock(
    machine: Machine, clerk: StubClerk, connection: psycopg.Connection
) -> None:
    """The plan fixes it; the report of the end shows by how much clocks differ."""
    clerk.clock_ahead_s = 600
    new = clerk.create_user(email="new@example.com")["id"]
    report = machine()
    assert report["status"] == "completed"
    assert new in rows(connection)
    assert abs(report["clerk_ahead_ms"] - 600_000) < 60_000


@pytest.mark.parametrize("walked", [0, 3])
def test_a_run_that_was_killed_is_made_good_by_the_next(
    machine: Machine, clerk: StubClerk, connection: psycopg.Connection, walked: int
) -> None:
    """After a day, nothing is left of what it had listed."""
    machine()
    miss_two(clerk)
    plan = machine.plan()
    for part in plan["parts"][:walked]:
        machine.walk(plan, part)
    report = machine()
    assert (report["status"], report["deleted"]) == ("completed", 1)
    assert rows(connection).keys() == shown(clerk)
    connection.execute("UPDATE sync_runs SET started_at = now() - interval '25 hours'")
    machine()
    assert rows(connection, "sync_run_listed") == {}


def test_two_runs_at_once_do_no_harm(
    machine: Machine, clerk: StubClerk, connection: psycopg.Connection
) -> None:
    """One by the state machine and one by the function begin and end in the middle of
    a third."""
    plan = machine.plan()
    first, *others = plan["parts"]
    parts = [machine.walk(plan, first)]
    reports: list[JSON] = [machine(), app.handler({}, None)]
    miss_two(clerk)
    parts += [machine.walk(plan, part) for part in others]
    reports.append(machine.finish(plan, parts))
    assert [report["status"] for report in reports] == ["completed"] * 3
    assert machine()["status"] == "completed"
    assert rows(connection).keys() == shown(clerk)


def test_a_run_that_nobody_began_is_unknown(machine: Machine) -> None:
    """An answer for it would be made up."""
    plan = machine.plan()
    plan["run"]["run_id"] = str(uuid.uuid4())
    with pytest.raises(app.BulkSyncFailedError, match="ledger"):
        machine.finish(plan, [])
