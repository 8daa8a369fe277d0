"""Runs that are ended from outside: by Ctrl-C, or by a database that fails."""

import threading
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import make_conninfo

from clerksync.bulk.job import Progress
from clerksync.postgres.database import Database
from local.stub_clerk.faults import StubRequest
from local.stub_clerk.stub import StubClerk
from tests.integration.bulk.bulk import Bulk
from tests.integration.bulk.parallel.conftest import PAGE, USERS
from tests.integration.bulk.parallel.walks import fetching_threads, from_page
from tests.people import a_user, shown
from tests.tables import rows
from tests.terminal import eventually


def interrupt_after(users: int) -> Progress:
    def progress(_phase: str, done: int, _total: int) -> None:
        if done >= users:
            raise KeyboardInterrupt

    return progress


def test_ctrl_c_leaves_a_checkpoint_and_the_next_run_goes_on(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """What had not reached the database by then is asked for again."""
    bulk.users.upsert(a_user(1))
    with pytest.raises(KeyboardInterrupt):
        bulk(progress=interrupt_after(USERS // 2))
    (run,) = rows(connection, "sync_runs").values()
    assert run["status"] == "failed"
    assert "KeyboardInterrupt" in run["report"]["reason"]
    written = len(rows(connection, "sync_state")) - 1
    assert USERS // 2 <= written < USERS
    report = bulk()
    assert (report.status, report.continues) == ("completed", run["run_id"])
    assert (report.fetched, report.deleted) == (USERS - written, 1)
    assert rows(connection).keys() == shown(stub)


@pytest.mark.usefixtures("stub")
def test_ctrl_c_ends_the_threads_before_it_is_raised(bulk: Bulk) -> None:
    """Also those that wait to hand over a page."""
    left: list[threading.Thread] = []
    try:
        bulk(progress=interrupt_after(10 * PAGE))
    except KeyboardInterrupt:
        left = fetching_threads()
    assert left == []


@pytest.fixture
def hasty(database_url: str) -> Iterator[Bulk]:
    """Bulk sync that waits for a lock for no longer than 50 ms."""
    url = make_conninfo(database_url, options="-c lock_timeout=50")
    database = Database(lambda: url)
    yield Bulk(database)
    database.close()


def test_an_error_of_the_database_in_mid_walk_leaves_a_checkpoint(
    hasty: Bulk,
    stub: StubClerk,
    connection: psycopg.Connection,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is raised, the ledger has the reason, and the next run resumes."""
    monkeypatch.setattr("clerksync.write.batch._TABLE_SECONDS", 0.2)
    with psycopg.connect(database_url) as blocker:
        lock, locked = threading.Lock(), False

        def block(_: StubRequest) -> None:
            nonlocal locked
            with lock:
                # Not before something has been written that is worth a checkpoint.
                if (
                    not locked
                    and blocker.execute("TABLE sync_state LIMIT 1").fetchone()
                ):
                    locked = True
                    blocker.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")

        stub.interfere = from_page(10, block)
        with pytest.raises(errors.LockNotAvailable):
            hasty()
        blocker.rollback()
    stub.interfere = None
    (run,) = rows(connection, "sync_runs").values()
    assert run["status"] == "failed"
    assert "LockNotAvailable" in run["report"]["reason"]
    written = len(rows(connection, "sync_state"))
    assert 0 < written < USERS
    report = hasty()
    assert (report.status, report.continues) == ("completed", run["run_id"])
    assert report.fetched == USERS - written
    assert rows(connection).keys() == shown(stub)


@pytest.mark.usefixtures("stub")
def test_an_error_of_the_database_ends_the_threads_before_it_is_raised(
    hasty: Bulk, database_url: str
) -> None:
    """They do not go on asking Clerk for pages that nobody will write."""
    left: list[threading.Thread] = []
    with psycopg.connect(database_url) as blocker:
        blocker.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        try:
            hasty()
        except errors.LockNotAvailable:
            left = fetching_threads()
        blocker.rollback()
    assert left == []
    assert eventually(lambda: fetching_threads() == [])
