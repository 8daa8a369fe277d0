"""Users who got no row, and left Clerk without a word: when they are forgotten."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from local.stub_clerk import StubClerk, StubRequest
from tests.integration.bulk_sync.bulk import Bulk
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


@pytest.mark.parametrize("mode", ["full", "cleanup"])
def test_a_complete_listing_forgets_who_is_not_in_it(
    bulk: Bulk,
    stub: StubClerk,
    connection: psycopg.Connection,
    skipped: set[str],
    mode: str,
) -> None:
    """Nothing else is written: no row, no tombstone, and nobody is asked for by id."""
    gone = min(skipped)
    before, states = rows(connection), rows(connection, "sync_state")
    stub.delete_user(gone)
    report = bulk(mode)
    assert (report.status, report.orphans_found, report.deleted) == ("completed", 0, 0)
    assert rows(connection) == before
    states[gone] |= {"skipped": None}
    assert rows(connection, "sync_state") == states


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


def test_who_is_there_all_the_same_is_noted_again(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, skipped: set[str]
) -> None:
    """The next listing has the user again, in the version that is known."""
    hidden = min(skipped)
    user = stub.get_user(hidden)
    stub.delete_user(hidden)
    bulk()
    assert noted(connection).keys() == skipped - {hidden}
    stub.users.add(user)
    report = bulk()
    assert (report.status, report.created) == ("completed", 0)
    assert noted(connection).keys() == skipped
