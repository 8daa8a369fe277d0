"""A backup is restored between a run that timed out and the run that resumes it."""

import psycopg
import pytest
from psycopg import sql

from clerksync.clerk.user import parse_user
from local.stub_clerk.stub import StubClerk
from tests.clock import RunClock
from tests.integration.bulk.bulk import Bulk
from tests.integration.bulk.parallel.walks import run_out_of_time
from tests.people import shown
from tests.tables import rows

_TABLES = ("users", "sync_state", "sync_runs", "sync_run_listed")


def back_up(connection: psycopg.Connection) -> None:
    for table in _TABLES:
        connection.execute(
            sql.SQL("CREATE TEMPORARY TABLE {} AS TABLE {}").format(
                sql.Identifier(f"backup_of_{table}"), sql.Identifier(table)
            )
        )


def restore(connection: psycopg.Connection, *tables: str) -> None:
    for table in tables:
        connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        connection.execute(
            sql.SQL("INSERT INTO {} SELECT * FROM {}").format(
                sql.Identifier(table), sql.Identifier(f"backup_of_{table}")
            )
        )


def differing(connection: psycopg.Connection, stub: StubClerk) -> set[str]:
    """Users who lack a row or have one too many, or whose row is not as at Clerk."""
    table = rows(connection)
    expected = {i: stub.get_user(i)["first_name"] for i in shown(stub)}
    return {
        clerk_id
        for clerk_id in table.keys() | expected.keys()
        if clerk_id not in table
        or clerk_id not in expected
        or table[clerk_id]["first_name"] != expected[clerk_id]
    }


def life_goes_on(bulk: Bulk, stub: StubClerk, *, first: int) -> None:
    """Users are changed and deleted at Clerk, and the webhooks arrive."""
    some = sorted(shown(stub), key=stub.ids().index)[first : first + 6]
    for clerk_id in some[:3]:
        stub.update_user(clerk_id, first_name="Renamed")
        bulk.users.upsert(parse_user(stub.get_user(clerk_id)))
    for clerk_id in some[3:]:
        stub.delete_user(clerk_id)
        bulk.users.delete([clerk_id])


@pytest.mark.parametrize(
    "tables",
    [
        ("users",),
        ("users", "sync_state"),
        ("sync_state", "users"),
        ("sync_state",),
        _TABLES,
    ],
    ids="+".join,
)
def test_a_resumed_run_repairs_what_a_restore_has_brought_back(
    *,
    bulk: Bulk,
    stub: StubClerk,
    connection: psycopg.Connection,
    clock: RunClock,
    tables: tuple[str, ...],
) -> None:
    """Rows that are older, missing, or of users deleted since; also in the part that
    the first run has walked."""
    at_first = len(shown(stub))
    bulk()
    back_up(connection)
    life_goes_on(bulk, stub, first=0)
    assert run_out_of_time(bulk, stub, clock, page=30).status == "partial"
    life_goes_on(bulk, stub, first=20)
    restore(connection, *tables)
    report = bulk()
    assert report.status == "completed"
    assert differing(connection, stub) == set()
    assert len(rows(connection)) == at_first - 6
    versions = rows(connection, "sync_state")
    for clerk_id in shown(stub):
        version = versions[clerk_id]["clerk_updated_at"].timestamp()
        assert round(version * 1000) == stub.get_user(clerk_id)["updated_at"]


def test_rows_that_vanish_between_two_runs_of_a_walk_come_back(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, clock: RunClock
) -> None:
    """sync_state still knows them."""
    first = run_out_of_time(bulk, stub, clock, page=30)
    written = sorted(rows(connection))[:5]
    connection.execute("DELETE FROM users WHERE id = ANY (%s)", [written])
    report = bulk()
    assert (report.status, report.continues) == ("completed", first.run_id)
    assert differing(connection, stub) == set()


def test_a_table_that_has_changed_a_lot_is_left_to_a_new_walk(
    *,
    bulk: Bulk,
    stub: StubClerk,
    connection: psycopg.Connection,
    clock: RunClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The run is not called completed, and there is nothing to resume."""
    monkeypatch.setattr("clerksync.bulk.changed_rows._ALWAYS_LOOKED_AT", 0)
    bulk()
    back_up(connection)
    life_goes_on(bulk, stub, first=0)
    first = run_out_of_time(bulk, stub, clock, page=30)
    restore(connection, "users")
    report = bulk()
    assert (report.status, report.continues) == ("partial", first.run_id)
    assert "as by a restore" in str(report.reason)
    report = bulk()
    assert (report.status, report.continues) == ("completed", None)
    assert differing(connection, stub) == set()


def test_more_users_back_than_a_run_may_delete_are_refused(
    *,
    bulk: Bulk,
    stub: StubClerk,
    connection: psycopg.Connection,
    clock: RunClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They count with the orphans."""
    monkeypatch.setenv("CLERKSYNC_MAX_ORPHAN_RATIO", "0.001")
    bulk()
    back_up(connection)
    run_out_of_time(bulk, stub, clock, page=30)
    life_goes_on(bulk, stub, first=0)
    restore(connection, "users")
    report = bulk()
    assert (report.status, report.deleted, report.orphans_found) == ("refused", 0, 3)
    assert bulk(force=True).status == "completed"
    assert differing(connection, stub) == set()


def test_a_resumed_run_asks_for_nobody_by_id_if_nothing_else_wrote(
    bulk: Bulk, stub: StubClerk, clock: RunClock
) -> None:
    """Webhooks and the runs themselves are entry points."""
    run_out_of_time(bulk, stub, clock, page=20)
    life_goes_on(bulk, stub, first=0)
    run_out_of_time(bulk, stub, clock, page=10)
    stub.reset_requests()
    assert bulk().status == "completed"
    assert not any("user_id" in request.query for request in stub.request_log)
