"""Who is deleted, who is spared, and who comes back."""

import psycopg
import pytest

from clerksync.database import Database
from clerksync.user_table import UserTable
from local.stub_clerk import StubClerk, StubRequest
from tests.doors import ask_this_clerk
from tests.integration.bulk_sync.bulk import Bulk
from tests.people import a_user, shown, user_id
from tests.tables import rows


def test_an_orphan_that_clerk_still_knows_is_synced_and_not_deleted(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """The listing lacked it; asked by id, Clerk knew it."""
    bulk()
    hidden = min(shown(stub))
    user = stub.get_user(hidden)
    stub.delete_user(hidden)

    def come_back(request: StubRequest) -> None:
        if "user_id" in request.query and hidden not in stub.ids():
            stub.users.add(user)

    stub.interfere = come_back
    report = bulk()
    assert (report.orphans_found, report.deleted) == (0, 0)
    assert hidden in rows(connection)


def test_more_orphans_than_allowed_are_refused_and_none_is_deleted(
    bulk: Bulk,
    stub: StubClerk,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Unless forced. The share is of the table, over candidates before proof."""
    bulk()
    monkeypatch.setenv("CLERKSYNC_MAX_ORPHAN_RATIO", "0.01")
    size = len(rows(connection))
    for clerk_id in sorted(shown(stub))[:20]:
        stub.delete_user(clerk_id)
    report = bulk()
    assert (report.status, report.orphans_found, report.deleted) == ("refused", 20, 0)
    assert "force" in str(report.reason)
    assert len(rows(connection)) == size
    assert bulk("cleanup", force=True).deleted == 20
    assert len(rows(connection)) == size - 20


def test_one_orphan_is_always_allowed_but_not_on_an_empty_listing(
    bulk: Bulk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table of two loses one; an instance that shows nobody loses nobody."""
    monkeypatch.setenv("CLERKSYNC_MAX_ORPHAN_RATIO", "0")
    with StubClerk() as stub:
        ask_this_clerk(monkeypatch, stub)
        first, second = (stub.create_user(email=f"{i}@example.com") for i in range(2))
        assert bulk().created == 2
        stub.delete_user(first["id"])
        assert bulk().deleted == 1
        stub.delete_user(second["id"])
        report = bulk()
        assert (report.status, report.deleted) == ("refused", 0)


@pytest.mark.usefixtures("stub")
def test_a_sweep_spares_rows_that_are_not_clerks(
    bulk: Bulk, connection: psycopg.Connection
) -> None:
    """A key that is no Clerk id is the application's own."""
    connection.execute(
        "INSERT INTO users (id, created_at) VALUES ('admin', '2020-1-1')"
    )
    assert bulk().status == "completed"
    assert "admin" in rows(connection)
    assert "admin" in rows(connection, "rate_limits")


def test_a_sweep_spares_who_was_synced_or_created_after_the_run_began(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, database_url: str
) -> None:
    """A webhook during the run knows better than a listing from before."""
    bulk()
    other = Database(lambda: database_url)

    def write(request: StubRequest) -> None:
        if "starting_after" in request.query:
            UserTable(other).upsert(a_user(1))
            connection.execute(
                "INSERT INTO users (id) VALUES ('user_ByHand') ON CONFLICT DO NOTHING"
            )

    stub.interfere = write
    report = bulk()
    other.close()
    assert (report.orphans_found, report.deleted) == (0, 0)
    assert {user_id(1), "user_ByHand"} <= rows(connection).keys()


def test_a_deletion_that_a_foreign_key_blocks_fails_for_that_user_only(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """The others go, and the run says that it is not complete."""
    bulk()
    gone = sorted(shown(stub))[:3]
    connection.execute("CREATE TABLE orders (user_id text REFERENCES users)")
    try:
        connection.execute("INSERT INTO orders VALUES (%s)", [gone[1]])
        for clerk_id in gone:
            stub.delete_user(clerk_id)
        report = bulk()
        assert (report.status, report.deleted) == ("partial", 2)
        assert set(gone) & rows(connection).keys() == {gone[1]}
    finally:
        connection.execute("DROP TABLE orders")


def test_a_tombstoned_user_who_is_listed_is_asked_for_by_id(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """Clerk knows it: the tombstone was wrong, and the user comes back."""
    bulk()
    wronged = min(shown(stub))
    bulk.users.delete([wronged])
    report = bulk()
    assert (report.status, report.created) == ("completed", 1)
    assert wronged in rows(connection)


def test_a_user_deleted_between_listing_and_proof_stays_deleted(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """The page showed it alive; the webhook came first; by id it is unknown."""
    bulk()
    leaver = min(shown(stub))
    bulk.users.delete([leaver])

    def leave(request: StubRequest) -> None:
        if "user_id" in request.query and leaver in stub.ids():
            stub.delete_user(leaver)

    stub.interfere = leave
    report = bulk()
    assert report.created == 0
    assert leaver not in rows(connection)
