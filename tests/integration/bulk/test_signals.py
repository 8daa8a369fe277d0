"""A run as a process of its own that is told to end, or just ended."""

import signal
from pathlib import Path

import psycopg
import pytest

from local.stub_clerk.faults import Fault
from local.stub_clerk.stub import StubClerk
from tests.doors import ask_this_clerk
from tests.integration.bulk.bulk import Bulk
from tests.integration.bulk.parallel.walks import from_page
from tests.people import a_user, shown
from tests.tables import rows
from tests.terminal import Running, eventually


def settings(stub: StubClerk, database_url: str) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "CLERK_API_URL": stub.url,
        "CLERK_SECRET_KEY": stub.secret_key,
    }


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 130)], ids=str
)
def test_a_process_that_is_ended_in_mid_walk_is_put_right_by_the_next_run(
    *,
    tmp_path: Path,
    bulk: Bulk,
    connection: psycopg.Connection,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    code: int,
) -> None:
    """Only who was told, and not killed, leaves a checkpoint."""
    bulk.users.upsert(a_user(1))
    with StubClerk(users=9_000, environment_type="production") as stub:
        stub.interfere = from_page(17, lambda _: Fault(delay_ms=30_000))
        with Running("sync", cwd=tmp_path, **settings(stub, database_url)) as command:
            assert eventually(lambda: len(rows(connection, "sync_state")) > 1)
            command.tell(number)
            assert command.wait() == code
        written = len(rows(connection, "sync_state")) - 1
        assert 0 < written < 9_000
        (run,) = rows(connection, "sync_runs").values()
        expected = "running" if number == signal.SIGKILL else "failed"
        assert run["status"] == expected
        stub.reset_faults()
        ask_this_clerk(monkeypatch, stub)
        report = bulk()
        goes_on = None if number == signal.SIGKILL else run["run_id"]
        assert (report.status, report.continues) == ("completed", goes_on)
        assert report.fetched == 9_000 - (written if goes_on else 0)
        assert report.deleted == 1
        assert rows(connection).keys() == shown(stub)


def test_a_process_that_is_killed_in_a_batch_has_written_nothing_of_it(
    tmp_path: Path,
    bulk: Bulk,
    stub: StubClerk,
    connection: psycopg.Connection,
    database_url: str,
) -> None:
    """The batch is one transaction, which Postgres takes back."""
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        " AND application_name = 'clerksync' AND datname = current_database()"
    )
    with psycopg.connect(database_url) as blocker:
        blocker.execute("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE")
        with Running("sync", cwd=tmp_path, **settings(stub, database_url)) as command:
            assert eventually(lambda: connection.execute(waiting).fetchone() == (1,))
            command.tell(signal.SIGKILL)
            assert command.wait() == -signal.SIGKILL
        blocker.rollback()
    assert eventually(lambda: connection.execute(waiting).fetchone() == (0,))
    report = bulk()
    assert (report.status, report.created) == ("completed", len(shown(stub)))
    assert rows(connection).keys() == shown(stub)
