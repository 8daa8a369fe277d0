"""Who is deleted, who is spared, and who comes back."""

import psycopg
import pytest

from local.stub_clerk.faults import Fault, StubRequest
from local.stub_clerk.stub import StubClerk
from tests.doors import ask_this_clerk
from tests.integration.bulk.bulk import Bulk
from tests.people import shown
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
        "INSERT INTO users (id, created_at)"
        " VALUES ('admin', '2020-1-1'), ('user_a@b.example', '2020-1-1')"
    )
    assert bulk().status == "completed"
    assert {"admin", "user_a@b.example"} <= rows(connection).keys()
    assert {"admin", "user_a@b.example"} <= rows(connection, "rate_limits").keys()


def test_a_sweep_spares_rows_created_after_the_run_began(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """The application made one by hand, in mid-walk."""
    bulk()

    def write(request: StubRequest) -> None:
        if "starting_after" in request.query:
            connection.execute(
                "INSERT INTO users (id) VALUES ('user_ByHand') ON CONFLICT DO NOTHING"
            )

    stub.interfere = write
    report = bulk()
    assert (report.orphans_found, report.deleted) == (0, 0)
    assert "user_ByHand" in rows(connection)


def test_a_sweep_that_breaks_off_tells_what_it_deleted(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """Clerk proves the first hundred and then fails: partial, and the count is true."""
    bulk()
    size = len(rows(connection))
    for clerk_id in sorted(shown(stub))[:150]:
        stub.delete_user(clerk_id)
    asked = 0

    def fail(request: StubRequest) -> Fault | None:
        nonlocal asked
        asked += "user_id" in request.query
        return Fault(status=500) if asked > 1 else None

    stub.interfere = fail
    report = bulk(force=True)
    assert (report.status, report.deleted, report.orphans_found) == (
        "partial",
        100,
        100,
    )
    assert len(rows(connection)) == size - 100


def test_a_user_who_cannot_be_written_in_the_sweep_keeps_the_run_incomplete(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """Clerk knows the candidate by id, and the table refuses it."""
    bulk()
    hidden = min(shown(stub))
    user = stub.get_user(hidden) | {"first_name": "Forbidden"}
    stub.delete_user(hidden)

    def come_back(request: StubRequest) -> None:
        if "user_id" in request.query and hidden not in stub.ids():
            stub.users.add(user | {"updated_at": user["updated_at"] + 1})

    stub.interfere = come_back
    forbid = "ADD CONSTRAINT forbidden CHECK (first_name <> 'Forbidden')"
    connection.execute(f"ALTER TABLE users {forbid}".encode())
    try:
        report = bulk()
    finally:
        connection.execute("ALTER TABLE users DROP CONSTRAINT forbidden")
    assert (report.status, report.failed) == ("partial", 1)


def test_a_deletion_that_a_foreign_key_blocks_fails_for_that_user_only(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """The others go; it is counted, and the run says what blocks it."""
    bulk()
    gone = sorted(shown(stub))[:3]
    connection.execute("CREATE TABLE orders (user_id text REFERENCES users)")
    try:
        connection.execute("INSERT INTO orders VALUES (%s)", [gone[1]])
        for clerk_id in gone:
            stub.delete_user(clerk_id)
        report = bulk()
        assert (report.status, report.deleted) == ("partial", 2)
        assert (report.deletions_blocked, report.orphans_found) == (1, 3)
        assert "blocked by orders.orders_user_id_fkey. " in str(report.reason)
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
