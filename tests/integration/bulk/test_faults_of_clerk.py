"""Faults of Clerk that pass, that last, and a key that is refused."""

import psycopg
import pytest

from local.stub_clerk.faults import Fault, StubRequest
from local.stub_clerk.stub import StubClerk
from tests.integration.bulk.bulk import Bulk
from tests.people import shown
from tests.tables import rows


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(status=503),
        Fault(breaks="connection"),
        Fault(breaks="body"),
        Fault(breaks="json"),
        Fault(status=429, headers={"retry-after": "0"}),
    ],
    ids=["500", "503", "closed", "half a body", "cut json", "429"],
)
def test_a_passing_fault_is_waited_out(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, fault: Fault
) -> None:
    """Three in a row, in the middle of the walk."""
    left = 3

    def fail(request: StubRequest) -> Fault | None:
        nonlocal left
        if "starting_after" in request.query and left:
            left -= 1
            return fault
        return None

    stub.interfere = fail
    assert bulk().status == "completed"
    assert rows(connection).keys() == shown(stub)


@pytest.mark.parametrize(
    "fault",
    [Fault(status=500), Fault(breaks="connection"), Fault(breaks="json")],
    ids=["500", "closed", "cut json"],
)
@pytest.mark.parametrize("lasting_from", ["/v1/users", "starting_after", "count"])
def test_a_lasting_fault_deletes_nothing_and_is_not_called_completed(
    bulk: Bulk,
    stub: StubClerk,
    connection: psycopg.Connection,
    fault: Fault,
    lasting_from: str,
) -> None:
    """From the start, in mid-walk, or when the listing is held against the count."""
    bulk()
    orphan = min(shown(stub))
    stub.delete_user(orphan)
    counts = 0

    def fail(request: StubRequest) -> Fault | None:
        nonlocal counts
        counts += request.path == "/v1/users/count"
        hit = {
            "/v1/users": request.path.startswith("/v1/users"),
            "starting_after": "starting_after" in request.query,
            "count": request.path == "/v1/users/count" and counts > 1,
        }
        return fault if hit[lasting_from] else None

    stub.interfere = fail
    report = bulk()
    expected = "failed" if lasting_from == "/v1/users" else "partial"
    assert (report.status, report.deleted) == (expected, 0)
    assert report.reason
    assert orphan in rows(connection)
    recorded = [run["status"] for run in rows(connection, "sync_runs").values()]
    assert sorted(recorded) == sorted(["completed", expected])


@pytest.mark.usefixtures("stub")
def test_a_wrong_key_fails_and_says_so(
    bulk: Bulk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is retried, nothing is written."""
    monkeypatch.setenv("CLERK_SECRET_KEY", "sk_test_wrong")
    report = bulk()
    assert report.status == "failed"
    assert "CLERK_SECRET_KEY" in str(report.reason)
    assert "sk_test_wrong" not in str(report.reason)
    assert report.requests == 1
