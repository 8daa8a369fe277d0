"""Users who got no row, and left Clerk without a word: when they are forgotten."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from local.stub_clerk.faults import StubRequest
from local.stub_clerk.stub import StubClerk
from tests.integration.bulk.bulk import Bulk
from tests.people import shown
from tests.tables import rows


@pytest.fixture
def skipped(bulk: Bulk, stub: StubClerk, connection: psycopg.Connection) -> set[str]:
    """Those without an email, after a full run."""
    assert bulk().status == "completed"
    known = noted(connection)
    assert known.keys() == set(stub.ids()) - shown(stub)
    assert len(known) > 3
    return set(known)


def noted(connection: psycopg.Connection) -> dict[str, Any]:
    """Why who is skipped is skipped."""
    states = rows(connection, "sync_state").items()
    return {i: state["skipped"] for i, state in states if state["skipped"]}


def tombstones(connection: psycopg.Connection) -> set[str]:
    states = rows(connection, "sync_state").items()
    return {clerk_id for clerk_id, state in states if state["deleted_at"]}


@pytest.mark.parametrize("mode", ["full", "cleanup"])
def test_who_was_skipped_and_is_gone_gets_a_tombstone(
    bulk: Bulk,
    stub: StubClerk,
    connection: psycopg.Connection,
    skipped: set[str],
    mode: str,
) -> None:
    """No webhook told of it, and there is no row that could be an orphan."""
    gone = min(skipped)
    before = rows(connection)
    stub.delete_user(gone)
    report = bulk(mode)
    assert (report.status, report.orphans_found, report.deleted) == ("completed", 0, 0)
    assert rows(connection) == before
    assert noted(connection).keys() == skipped - {gone}
    assert tombstones(connection) == {gone}


@pytest.mark.parametrize("how", ["dry run", "incremental", "refused"])
def test_no_other_run_forgets_anybody(
    bulk: Bulk,
    stub: StubClerk,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    *,
    skipped: set[str],
    how: str,
) -> None:
    """One that changes nothing, one that reads the changes, one that is refused."""
    stub.delete_user(min(skipped))
    match how:
        case "dry run":
            bulk(dry_run=True)
        case "incremental":
            bulk("incremental")
        case _:
            monkeypatch.setenv("CLERKSYNC_MAX_ORPHAN_RATIO", "0")
            for clerk_id in sorted(shown(stub))[:2]:
                stub.delete_user(clerk_id)
            assert bulk().status == "refused"
    assert noted(connection).keys() == skipped


def test_a_listing_that_is_short_forgets_nobody(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, skipped: set[str]
) -> None:
    """Clerk counts more than it lists, at both ends of the walk."""
    gone, hidden, *_ = sorted(skipped)
    stub.delete_user(gone)
    user = stub.get_user(hidden)

    def hide(request: StubRequest) -> None:
        is_count = request.path == "/v1/users/count"
        if is_count and hidden not in stub.ids():
            stub.users.add(user)
        elif request.path == "/v1/users" and hidden in stub.ids():
            stub.delete_user(hidden)

    stub.interfere = hide
    assert bulk().status == "partial"
    assert noted(connection).keys() == skipped


def test_who_was_met_since_the_walk_began_is_not_forgotten(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, skipped: set[str]
) -> None:
    """By a webhook: the listing may be older than that."""
    gone = min(skipped)
    stub.delete_user(gone)
    connection.execute(
        "UPDATE sync_state SET synced_at = now() + %s WHERE clerk_id = %s",
        [timedelta(minutes=1), gone],
    )
    assert bulk().status == "completed"
    assert noted(connection).keys() == skipped


def test_who_is_there_all_the_same_stays_skipped(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, skipped: set[str]
) -> None:
    """A listing may lag behind: only what Clerk says of the very id is believed."""
    hidden = min(skipped)
    user = stub.get_user(hidden)
    stub.delete_user(hidden)

    def show(request: StubRequest) -> None:
        if "user_id" in request.query:
            stub.users.add(user)

    stub.interfere = show
    assert bulk().status == "completed"
    assert noted(connection).keys() == skipped
    assert tombstones(connection) == set()


@pytest.mark.parametrize("mode", ["full", "cleanup"])
def test_a_user_who_is_gone_and_has_no_row_gets_a_tombstone(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, mode: str
) -> None:
    """As after a restore of one of the tables: nothing says why there is no row."""
    bulk()
    gone = min(shown(stub))
    stub.delete_user(gone)
    connection.execute("DELETE FROM users WHERE id = %s", [gone])
    assert bulk(mode).status == "completed"
    assert tombstones(connection) == {gone}
