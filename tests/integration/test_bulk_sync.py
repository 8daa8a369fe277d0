"""Bulk sync against a stub Clerk that is true to the spec, and one that misbehaves."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from clerksync.bulk_run import BulkSyncRequest, Report
from clerksync.clerk_api import ClerkApi, Patience
from clerksync.database import Database
from clerksync.errors import DatabaseUnreachableError, InvalidPayloadError
from clerksync.reconcile import BulkSync
from clerksync.settings import Settings
from clerksync.user_table import UserTable
from local.stub_clerk import Fault, StubClerk, StubRequest
from tests.people import a_user, user_id
from tests.tables import footprint, rows

PATIENT = Patience(retries=5, longest_wait_seconds=2, timeout_seconds=5)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubClerk]:
    """1,200 users are three pages of the listing."""
    monkeypatch.setattr("clerksync.clerk_api._BACKOFF_SECONDS", 0.001)
    with StubClerk(users=1_200) as stub:
        monkeypatch.setenv("CLERK_API_URL", stub.url)
        monkeypatch.setenv("CLERK_SECRET_KEY", stub.secret_key)
        yield stub


class Bulk:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.users = UserTable(database)

    def __call__(self, mode: str = "full", **request: Any) -> Report:
        settings = Settings()
        bulk = BulkSync(settings, self.database, ClerkApi(settings, PATIENT))
        report = bulk.run(BulkSyncRequest.model_validate({"mode": mode} | request))
        if mode != "cleanup":
            assert report.fetched == (
                report.created
                + report.updated
                + report.unchanged
                + report.skipped
                + report.failed
            )
        return report


@pytest.fixture
def bulk(database: Database) -> Bulk:
    return Bulk(database)


def shown(stub: StubClerk) -> set[str]:
    """The ids of the users who have an email at Clerk."""
    return {i for i in stub.ids() if stub.get_user(i)["primary_email_address_id"]}


def test_a_full_run_makes_the_table_equal_to_clerk(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """Every user with an email has a row and a rate limit; the others are skipped."""
    report = bulk()
    assert report.status == "completed"
    assert (report.fetched, report.created) == (1_200, len(shown(stub)))
    assert rows(connection).keys() == shown(stub)
    assert rows(connection, "rate_limits").keys() == shown(stub)


def test_a_run_without_change_writes_and_locks_no_row(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """But for the ledger's own."""
    bulk()
    before = footprint(connection)
    report = bulk()
    assert report.unchanged == len(shown(stub))
    assert footprint(connection) == before


def test_a_run_finds_what_was_missed(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """A sign-up, a change and a deletion that no webhook told of."""
    bulk()
    first, second, *_ = sorted(shown(stub))
    new = stub.create_user(email="new@example.com")["id"]
    stub.update_user(first, first_name="Renamed")
    stub.delete_user(second)
    report = bulk()
    assert report.status == "completed"
    counts = report.created, report.updated, report.deleted, report.orphans_found
    assert counts == (1, 1, 1, 1)
    table = rows(connection)
    assert table[new]["email"] == "new@example.com"
    assert table[first]["first_name"] == "Renamed"
    assert second not in table
    assert rows(connection, "sync_state")[second]["deleted_at"] is not None


def test_the_ledger_records_the_run_and_forgets_its_listing(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """Mode, status, instance, times and the report itself."""
    report = bulk()
    (run,) = rows(connection, "sync_runs").values()
    assert (run["mode"], run["status"]) == ("full", "completed")
    assert run["instance_id"] == stub.instance_id
    assert run["finished_at"] > run["started_at"]
    assert run["report"] == report.as_json()
    assert rows(connection, "sync_run_listed") == {}


def test_a_dry_run_tells_and_writes_only_to_the_ledger(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """It counts what a real run would do, orphans included."""
    bulk()
    first, second, *_ = sorted(shown(stub))
    stub.update_user(first, first_name="Renamed")
    stub.delete_user(second)
    before = rows(connection), rows(connection, "sync_state")
    report = bulk(dry_run=True)
    assert (report.updated, report.orphans_found, report.deleted) == (1, 1, 0)
    assert (rows(connection), rows(connection, "sync_state")) == before


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
        monkeypatch.setenv("CLERK_API_URL", stub.url)
        monkeypatch.setenv("CLERK_SECRET_KEY", stub.secret_key)
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


@pytest.mark.parametrize("unknown_cursor_status", [404, 422])
def test_a_cursor_whose_user_is_deleted_in_mid_walk_loses_nobody(
    bulk: Bulk,
    stub: StubClerk,
    connection: psycopg.Connection,
    unknown_cursor_status: int,
) -> None:
    """The last two users of a page go before the next page is asked for."""
    stub.listing.unknown_cursor_status = unknown_cursor_status
    gone: list[str] = []

    def delete_cursor(request: StubRequest) -> None:
        cursor = request.query.get("starting_after", [""])[0]
        if len(gone) < 2 and cursor in stub.ids():
            stub.delete_user(cursor)
            gone.append(cursor)

    stub.interfere = delete_cursor
    assert bulk().status == "completed"
    assert len(gone) == 2
    stub.interfere = None
    assert rows(connection).keys() >= shown(stub)


def test_a_whole_page_deleted_in_mid_walk_loses_nobody(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """No id of the page is left to go on from: its last millisecond is."""
    in_order = sorted(stub.ids(), key=lambda i: (stub.get_user(i)["created_at"], i))

    def delete_page(request: StubRequest) -> None:
        if "starting_after" in request.query:
            for clerk_id in set(in_order[:500]) & set(stub.ids()):
                stub.delete_user(clerk_id)

    stub.interfere = delete_page
    bulk()
    assert rows(connection).keys() >= shown(stub)
    stub.interfere = None
    assert bulk(force=True).status == "completed"
    assert rows(connection).keys() == shown(stub)


def test_thousands_with_the_same_created_at_are_all_seen(
    bulk: Bulk, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bulk import: all in one millisecond, more than two pages."""
    with StubClerk() as stub:
        monkeypatch.setenv("CLERK_API_URL", stub.url)
        monkeypatch.setenv("CLERK_SECRET_KEY", stub.secret_key)
        for number in range(1_100):
            stub.create_user(
                email=f"{number}@example.com", created_at=1_700_000_000_000
            )
        assert bulk().created == 1_100
        assert rows(connection).keys() == set(stub.ids())


def test_a_short_listing_is_partial_and_deletes_nothing(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """Clerk counts a user more than it lists: no short page tells of that."""
    bulk()
    orphan, hidden, *_ = sorted(shown(stub))
    stub.delete_user(orphan)
    user = stub.get_user(hidden)

    def hide(request: StubRequest) -> None:
        if request.path == "/v1/users" and hidden in stub.ids():
            stub.delete_user(hidden)
        elif request.path == "/v1/users/count" and hidden not in stub.ids():
            stub.users.add(user)

    stub.interfere = hide
    report = bulk()
    assert (report.status, report.deleted) == ("partial", 0)
    assert orphan in rows(connection)


def test_cursors_that_are_all_lost_are_walked_around(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """No cursor works at all: the walk goes on by creation time and sees everybody."""
    stub.interfere = lambda request: (
        Fault(status=422) if "starting_after" in request.query else None
    )
    assert bulk().status == "completed"
    assert rows(connection).keys() == shown(stub)


def test_a_listing_that_cannot_go_on_is_given_up(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """More than a page in one millisecond, and no cursor: partial, not for ever."""
    for number in range(1_100):
        stub.create_user(email=f"{number}@example.com", created_at=1_000_000_000_000)
    stub.interfere = lambda request: (
        Fault(status=422) if "starting_after" in request.query else None
    )
    assert bulk().status == "partial"
    assert len(rows(connection)) == 500


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


@pytest.mark.usefixtures("stub")
def test_a_key_of_another_instance_is_refused_unless_forced(
    bulk: Bulk,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The ledger remembers whose users the table holds, and after force, the new."""
    bulk()
    before = rows(connection)
    with StubClerk(users=3, seed=99) as other:
        monkeypatch.setenv("CLERK_API_URL", other.url)
        monkeypatch.setenv("CLERK_SECRET_KEY", other.secret_key)
        report = bulk()
        assert (report.status, report.fetched) == ("refused", 0)
        assert rows(connection) == before
        assert bulk("user", user_id=other.ids()[0]).status == "refused"
        assert bulk("incremental", force=True).status == "completed"
        assert bulk().status == "refused", "too many orphans, but the instance is known"


@pytest.mark.usefixtures("stub")
def test_an_instance_named_in_the_settings_must_be_the_keys(
    bulk: Bulk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on the very first run."""
    monkeypatch.setenv("CLERKSYNC_INSTANCE_ID", "ins_another")
    assert bulk().status == "refused"


def test_an_incremental_run_reads_what_changed_and_never_sweeps(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """Requests go with the changes, not with the instance."""
    bulk()
    connection.execute("UPDATE sync_runs SET started_at = now() + interval '10 min'")
    first, second, *_ = sorted(shown(stub))
    stub.update_user(first, first_name="Renamed")
    stub.delete_user(second)
    report = bulk("incremental")
    assert (report.status, report.updated, report.deleted) == ("completed", 1, 0)
    assert report.requests == 2
    assert second in rows(connection)


def test_an_incremental_run_without_a_watermark_reads_everything(
    bulk: Bulk, stub: StubClerk
) -> None:
    """And does not sweep."""
    report = bulk("incremental")
    assert (report.status, report.created) == ("completed", len(shown(stub)))


def test_a_cleanup_deletes_and_writes_no_user(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """What changed at Clerk waits for a run that syncs."""
    bulk()
    first, second, *_ = sorted(shown(stub))
    stub.update_user(first, first_name="Renamed")
    stub.delete_user(second)
    report = bulk("cleanup")
    assert (report.status, report.fetched, report.deleted) == ("completed", 1_199, 1)
    assert (report.created, report.updated, report.unchanged) == (0, 0, 0)
    assert rows(connection)[first]["first_name"] != "Renamed"


def test_a_single_user_is_written_or_deleted(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """Clerk's answer by id is proof of life and of death."""
    clerk_id = min(shown(stub))
    assert bulk("user", user_id=clerk_id).created == 1
    bulk.users.delete([clerk_id])
    assert bulk("user", user_id=clerk_id).created == 1, "proof brings it back"
    stub.delete_user(clerk_id)
    assert bulk("user", user_id=clerk_id, dry_run=True).deleted == 0
    assert bulk("user", user_id=clerk_id).deleted == 1
    assert rows(connection) == {}


def test_an_unreadable_user_fails_alone_and_is_no_orphan(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """Its row stays as it was; the run is partial and says how many."""
    bulk()
    clerk_id = min(shown(stub))
    stub.users.replace(stub.get_user(clerk_id) | {"first_name": 5})
    report = bulk()
    assert (report.status, report.failed) == ("partial", 1)
    assert clerk_id in rows(connection)


def test_two_runs_at_once_do_no_harm(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, database_url: str
) -> None:
    """The second begins and ends while the first is in mid-walk."""
    other = Bulk(Database(lambda: database_url))
    reports: list[Report] = []

    def overtake(request: StubRequest) -> None:
        if "starting_after" in request.query and not reports:
            stub.interfere = None
            reports.append(other())

    stub.interfere = overtake
    reports.append(bulk())
    other.database.close()
    assert [report.status for report in reports] == ["completed", "completed"]
    assert rows(connection).keys() == shown(stub)


@pytest.mark.usefixtures("stub")
def test_without_a_database_there_is_no_report_but_an_error() -> None:
    """It says what to check."""
    database = Database(lambda: "postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(DatabaseUnreachableError, match="DATABASE_URL"):
        Bulk(database)()


@pytest.mark.parametrize(
    "event",
    [
        {"mode": "everything"},
        {"mode": "user"},
        {"mode": "user", "user_id": "1; DROP TABLE users"},
        {"dry_run": "perhaps"},
        {"unknown": 1},
    ],
)
def test_an_event_that_is_none_is_refused(event: dict[str, Any]) -> None:
    """A misspelt dry_run must not become a real run."""
    with pytest.raises(InvalidPayloadError, match="Not an event of bulk sync"):
        BulkSyncRequest.from_event(event)
