"""What several runs of one walk owe to each other."""

import psycopg
import pytest

from clerksync.clerk.api import ClerkApi
from clerksync.errors import OutOfTimeError
from local.stub_clerk.stub import StubClerk
from tests.clock import RunClock
from tests.integration.bulk.bulk import Bulk
from tests.integration.bulk.parallel.walks import run_out_of_time
from tests.people import shown
from tests.tables import rows


@pytest.mark.alters_schema
def test_a_walk_with_users_who_could_not_be_written_is_never_completed(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, clock: RunClock
) -> None:
    """Whichever of its runs it was that could not."""
    refused = min(shown(stub), key=stub.ids().index)
    connection.execute(f"ALTER TABLE users ADD CHECK (id <> '{refused}')".encode())
    first = run_out_of_time(bulk, stub, clock, page=30)
    assert first.failed == 1
    report = bulk()
    assert (report.continues, report.failed) == (first.run_id, 0)
    assert report.status == "partial"
    assert "1 user could not be written" in str(report.reason)


def test_users_whom_clerk_was_not_asked_about_are_read_again(
    bulk: Bulk,
    stub: StubClerk,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A page is done when those of it are confirmed that a tombstone had kept out."""
    # One worker, so that the pages before theirs have been written.
    monkeypatch.setenv("CLERKSYNC_WORKERS", "1")
    deleted = stub.ids()[1_500:1_503]
    bulk.users.delete(deleted)

    def out_of_time(*_: object) -> None:
        raise OutOfTimeError("The time of the run was over.")

    with monkeypatch.context() as late:
        late.setattr(ClerkApi, "users_by_id", out_of_time)
        assert bulk().status == "partial"
    report = bulk()
    assert (report.status, report.continues is None) == ("completed", False)
    assert rows(connection).keys() == shown(stub)


def test_a_long_run_keeps_its_checkpoint_while_it_goes_on(
    bulk: Bulk,
    stub: StubClerk,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For the case that it is killed."""
    monkeypatch.setattr("clerksync.bulk.run._CHECKPOINT_SECONDS", 0)
    kept: list[int] = []

    def progress(*_: object) -> None:
        (run,) = rows(connection, "sync_runs").values()
        windows = (run["checkpoint"] or {"windows": []})["windows"]
        kept.append(sum("reached" in w or "done" in w for w in windows))

    assert bulk(progress=progress).status == "completed"
    assert max(kept) > 1
    (run,) = rows(connection, "sync_runs").values()
    assert run["checkpoint"] is None
    assert rows(connection).keys() == shown(stub)


@pytest.mark.usefixtures("stub")
def test_a_continuation_that_comes_too_late_does_not_begin_anew(
    bulk: Bulk, connection: psycopg.Connection
) -> None:
    """Somebody else has gone on with the walk."""
    report = bulk(continuation=1)
    assert (report.status, report.fetched) == ("partial", 0)
    assert "another run" in str(report.reason)
    assert rows(connection) == {}
