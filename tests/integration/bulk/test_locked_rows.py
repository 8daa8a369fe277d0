"""A run beside an application that keeps rows locked."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

import psycopg
import pytest
from psycopg import errors

from clerksync.write.outcome import Outcome
from clerksync.write.rows import StagedRow
from clerksync.write.user_batches import UserBatches
from local.stub_clerk.stub import StubClerk
from tests.doors import ask_this_clerk
from tests.integration.bulk.bulk import Bulk
from tests.locks import locked
from tests.people import shown
from tests.tables import rows

REASON = "locked by another transaction"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody here unlocks a row in time."""
    monkeypatch.setenv("CLERKSYNC_LOCK_TIMEOUT", "0.1")


@pytest.fixture
def ask_many(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubClerk]:
    """More users than a batch."""
    with StubClerk(users=6_000, environment_type="production") as stub:
        ask_this_clerk(monkeypatch, stub)
        yield stub


def test_a_run_writes_all_rows_except_the_locked_ones_and_names_these(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, database_url: str
) -> None:
    """Partial; the next run, with nothing locked, writes them."""
    bulk()
    people = sorted(shown(stub))
    for clerk_id in people:
        stub.update_user(clerk_id, first_name="Renamed")
    with locked(database_url, people[3]), locked(database_url, people[5]):
        report = bulk()
    assert (report.status, report.failed) == ("partial", 2)
    assert report.updated == len(people) - 2
    assert report.failures == [f"{people[n]}: {REASON}" for n in (3, 5)]
    assert report.refusals == {REASON: 2}
    assert REASON in str(report.reason)
    old = {i for i, r in rows(connection).items() if r["first_name"] != "Renamed"}
    assert old == {people[3], people[5]}
    assert (bulk().updated, bulk().status) == (2, "completed")


def test_a_row_that_is_unlocked_before_the_end_of_the_run_is_written(
    bulk: Bulk,
    stub: StubClerk,
    connection: psycopg.Connection,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was only left to the end."""
    bulk()
    clerk_id = min(shown(stub))
    stub.update_user(clerk_id, first_name="Renamed")
    write_locked = UserBatches.upsert_locked
    with ExitStack() as application:
        application.enter_context(locked(database_url, clerk_id))

        def unlock_first(users: UserBatches, left: list[StagedRow]) -> Outcome:
            assert len(left) == 1
            application.close()
            return write_locked(users, left)

        monkeypatch.setattr(UserBatches, "upsert_locked", unlock_first)
        report = bulk()
    assert (report.status, report.updated, report.failed) == ("completed", 1, 0)
    assert rows(connection)[clerk_id]["first_name"] == "Renamed"


def test_one_locked_orphan_keeps_none_of_the_others(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, database_url: str
) -> None:
    """It is named, has no tombstone, and goes with the next run."""
    bulk()
    first, kept, last = sorted(shown(stub))[:3]
    for clerk_id in (first, kept, last):
        stub.delete_user(clerk_id)
    with locked(database_url, kept):
        report = bulk(force=True)
    assert (report.deleted, report.deletions_blocked) == (2, 1)
    assert report.status == "partial"
    assert report.failures == [f"{kept}: not deleted: {REASON}"]
    assert "locked" in str(report.reason)
    assert rows(connection, "sync_state")[kept]["deleted_at"] is None
    assert bulk().deleted == 1


@pytest.mark.alters_schema
def test_a_locked_row_that_a_deletion_cascades_to_keeps_one_orphan_only(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, database_url: str
) -> None:
    """The application's own table, with ON DELETE CASCADE."""
    bulk()
    connection.execute(
        "CREATE TABLE orders (id text PRIMARY KEY REFERENCES users ON DELETE CASCADE);"
        "INSERT INTO orders SELECT id FROM users"
    )
    first, kept, last = sorted(shown(stub))[:3]
    for clerk_id in (first, kept, last):
        stub.delete_user(clerk_id)
    with locked(database_url, kept, table="orders"):
        report = bulk(force=True)
    assert (report.deleted, report.deletions_blocked) == (2, 1)
    assert bulk().deleted == 1


@pytest.mark.alters_schema
def test_a_slow_table_leaves_a_checkpoint_when_the_time_is_over(
    bulk: Bulk, connection: psycopg.Connection, ask_many: StubClerk
) -> None:
    """What was written stays, and the next runs end what this one began."""
    connection.execute(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN PERFORM pg_sleep(0.004); RETURN NEW; END$$;"
        "CREATE TRIGGER slow BEFORE INSERT ON users FOR EACH ROW"
        " EXECUTE FUNCTION slow()"
    )
    report = bulk(deadline=time.monotonic() + 12)
    assert (report.status, report.out_of_time) == ("partial", True)
    assert 0 < report.created < 6_000
    connection.execute("DROP TRIGGER slow ON users")
    again = bulk()
    assert (again.status, again.continues) == ("completed", report.run_id)
    assert rows(connection).keys() == shown(ask_many)


@pytest.mark.alters_schema
def test_many_rows_that_are_refused_alike_are_counted_and_not_all_logged(
    bulk: Bulk,
    connection: psycopg.Connection,
    ask_many: StubClerk,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Twenty lines for one reason; the report has the number. Whoever is written
    together with them, and would only be skipped, counts as failed, too."""
    connection.execute("ALTER TABLE users ADD CONSTRAINT no CHECK (id < 'user_')")
    report = bulk()
    assert report.failed >= len(shown(ask_many))
    assert report.refusals == {"SQLSTATE 23514 (users.no)": report.failed}
    assert f"{report.failed} SQLSTATE 23514 (users.no)" in str(report.reason)
    assert caplog.messages.count("user not written") == 20


@pytest.mark.alters_schema
@pytest.mark.usefixtures("stub")
def test_a_database_without_temporary_tables_is_not_blamed_on_users(
    bulk: Bulk, connection: psycopg.Connection
) -> None:
    """An event trigger that forbids DDL concerns the run."""
    connection.execute(
        "CREATE FUNCTION no_ddl() RETURNS event_trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE 'no DDL in working hours'; END$$;"
        "CREATE EVENT TRIGGER no_ddl ON ddl_command_start EXECUTE FUNCTION no_ddl()"
    )
    try:
        with pytest.raises(errors.RaiseException, match="no DDL"):
            bulk()
    finally:
        connection.execute("DROP EVENT TRIGGER no_ddl")
    (run,) = rows(connection, "sync_runs").values()
    assert run["status"] == "failed"
