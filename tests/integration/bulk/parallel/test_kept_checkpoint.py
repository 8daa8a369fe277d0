"""What is gone on with, and what is not, when a run did not end as planned."""

import threading

import psycopg
import pytest

from clerksync.bulk.report import Report
from clerksync.postgres.database import Database
from local.stub_clerk.faults import Fault, StubRequest
from local.stub_clerk.stub import StubClerk
from tests.clock import RunClock
from tests.integration.bulk.bulk import Bulk
from tests.integration.bulk.parallel.conftest import USERS
from tests.integration.bulk.parallel.walks import (
    from_page,
    run_out_of_time,
)
from tests.people import a_user, shown, user_id
from tests.tables import rows


def pretend_killed(connection: psycopg.Connection, *, minutes_ago: int) -> None:
    """As SIGKILL would leave the ledger: nobody has said how the run ended."""
    connection.execute(
        "UPDATE sync_runs SET status = 'running', finished_at = NULL, report = NULL,"
        " started_at = started_at - make_interval(mins => %s)",
        [minutes_ago],
    )


@pytest.mark.parametrize(
    ("minutes_ago", "taken_over"), [(5, False), (15, False), (17, True)]
)
def test_a_killed_run_is_gone_on_with_when_it_cannot_be_running_any_more(
    *,
    bulk: Bulk,
    stub: StubClerk,
    connection: psycopg.Connection,
    clock: RunClock,
    minutes_ago: int,
    taken_over: bool,
) -> None:
    """Lambda lets no run go on for more than 15 minutes. Before, one begins anew."""
    killed = run_out_of_time(bulk, stub, clock, page=30)
    pretend_killed(connection, minutes_ago=minutes_ago)
    report = bulk()
    assert report.status == "completed"
    assert report.continues == (killed.run_id if taken_over else None)
    assert report.fetched == USERS - (killed.fetched if taken_over else 0)
    assert rows(connection).keys() == shown(stub)


def test_a_sweep_that_fails_is_not_gone_on_with(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """It might fail for ever, and nobody would ever walk again."""
    bulk.users.upsert(a_user(1))
    stub.interfere = lambda request: (
        Fault(status=403) if "user_id" in request.query else None
    )
    broken = bulk()
    assert (broken.status, broken.out_of_time) == ("partial", False)
    assert "next run" not in str(broken.reason)
    assert user_id(1) in rows(connection)
    stub.interfere = None
    report = bulk()
    assert (report.continues, report.fetched) == (None, USERS)
    assert (report.status, report.deleted) == ("completed", 1)


def test_a_run_keeps_the_key_with_which_it_began(
    bulk: Bulk, stub: StubClerk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that is exchanged in mid-run may be that of another instance."""
    lock = threading.Lock()

    def exchange(_: StubRequest) -> None:
        with lock:
            monkeypatch.setenv("CLERK_SECRET_KEY", "sk_live_another")
            monkeypatch.setenv("CLERK_API_URL", "http://127.0.0.1:1")

    stub.interfere = from_page(10, exchange)
    report = bulk()
    assert (report.status, report.fetched) == ("completed", USERS)


def kept_checkpoint(connection: psycopg.Connection) -> bool:
    runs = rows(connection, "sync_runs").values()
    return any(run["checkpoint"] for run in runs)


def test_a_run_that_was_taken_for_dead_does_no_harm(
    bulk: Bulk,
    stub: StubClerk,
    connection: psycopg.Connection,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At the command line a run may last longer than Lambda lets it: two walk on."""
    monkeypatch.setattr("clerksync.bulk.run._CHECKPOINT_SECONDS", 0)
    monkeypatch.setenv("CLERKSYNC_MAX_ORPHAN_RATIO", "1")
    database = Database(lambda: database_url)
    reports: list[Report] = []
    lock = threading.Lock()

    def overtake(_: StubRequest) -> None:
        with lock:
            if not reports and kept_checkpoint(connection):
                age = "UPDATE sync_runs SET started_at = now() - interval '17 minutes'"
                connection.execute(age.encode())
                stub.interfere = None
                reports.append(Bulk(database)())

    stub.interfere = from_page(20, overtake)
    reports.append(bulk())
    database.close()
    taken_over, slow = reports
    assert (taken_over.status, taken_over.continues) == ("completed", slow.run_id)
    assert slow.status in {"partial", "completed"}
    assert taken_over.deleted == slow.deleted == 0
    assert rows(connection).keys() == shown(stub)
    assert bulk().status == "completed"
