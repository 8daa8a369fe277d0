"""Several windows at once, while users come and go under them."""

import random
import threading

import psycopg
import pytest

from clerksync.postgres.database import Database
from clerksync.write.user_batches import UserBatches
from local.stub_clerk.faults import StubRequest
from local.stub_clerk.stub import StubClerk
from tests.doors import ask_this_clerk
from tests.integration.bulk.bulk import Bulk
from tests.integration.bulk.parallel.conftest import PAGE, USERS
from tests.integration.bulk.parallel.walks import (
    cursor,
    decoding_threads,
    fetching_threads,
    is_page,
    pages_asked,
)
from tests.people import a_user, shown
from tests.tables import rows
from tests.terminal import eventually


def test_a_walk_of_many_windows_sees_everybody_once(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """Cutting the instance's life costs few requests more than one after the other."""
    report = bulk()
    assert (report.status, report.fetched) == ("completed", USERS)
    assert report.windows >= 8
    assert len(pages_asked(stub)) <= USERS // PAGE + 2 * report.windows
    assert report.requests == stub.requests
    assert rows(connection).keys() == shown(stub)
    assert eventually(lambda: fetching_threads() == [])
    assert eventually(lambda: decoding_threads() == [])


@pytest.mark.parametrize("workers", [1, 3, 8])
def test_no_more_are_asking_at_once_than_the_setting_allows(
    bulk: Bulk, stub: StubClerk, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """And as many as that are."""
    monkeypatch.setenv("CLERKSYNC_WORKERS", str(workers))
    pages = asking = most = 0
    patience_seconds = 30.0
    changed = threading.Condition()
    alive: list[int] = []

    def count(request: StubRequest) -> None:
        nonlocal pages, asking, most, patience_seconds
        if not is_page(request):
            return
        with changed:
            pages += 1
            asking += 1
            most = max(most, asking)
            alive.append(len(fetching_threads()))
            changed.notify_all()
            # Until the first page is there, nobody else knows what to ask for.
            if pages > 1 and not changed.wait_for(
                lambda: most >= workers, timeout=patience_seconds
            ):
                patience_seconds = 0.0
            asking -= 1

    stub.interfere = count
    assert bulk().fetched == USERS
    assert most == workers
    assert max(alive) == workers, "each of them asks for one page at a time"


def test_a_walk_by_one_worker_is_one_window(
    bulk: Bulk, stub: StubClerk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many pages as there are, and the short one that tells the end."""
    monkeypatch.setenv("CLERKSYNC_WORKERS", "1")
    assert bulk().windows == 1
    assert len(pages_asked(stub)) == USERS // PAGE + 1


@pytest.mark.parametrize("inclusive", [True, False], ids=["inclusive", "exclusive"])
@pytest.mark.parametrize("unknown_cursor_status", [404, 422])
def test_who_stays_is_synced_while_cursors_and_others_are_deleted(
    *,
    bulk: Bulk,
    stub: StubClerk,
    connection: psycopg.Connection,
    inclusive: bool,
    unknown_cursor_status: int,
) -> None:
    """Every third cursor goes before it is used, and somebody else with it."""
    stub.listing.bounds_inclusive = inclusive
    stub.listing.unknown_cursor_status = unknown_cursor_status
    chance, lock, asked = random.Random(3), threading.Lock(), 0

    def delete(request: StubRequest) -> None:
        nonlocal asked
        with lock:
            asked += 1
            if asked % 3 == 0:
                for clerk_id in (cursor(request), chance.choice(stub.ids())):
                    if clerk_id in stub.users:
                        stub.delete_user(clerk_id)

    stub.interfere = delete
    report = bulk()
    stub.interfere = None
    assert report.status == "completed"
    assert stub.count < USERS - 30
    assert rows(connection).keys() >= shown(stub)
    assert bulk().status == "completed"
    assert rows(connection).keys() == shown(stub)


def test_who_signs_up_in_mid_walk_is_not_swept(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, database_url: str
) -> None:
    """A webhook has written them; the walk ends before their time."""
    database = Database(lambda: database_url)
    webhook, lock = UserBatches(database), threading.Lock()

    def sign_up(request: StubRequest) -> None:
        with lock:
            if is_page(request) and stub.count < USERS + 40:
                new = stub.create_user(email=f"new{stub.count}@example.com")
                user = a_user(email=f"new{stub.count}@example.com")
                webhook.upsert(user.model_copy(update={"id": new["id"]}))

    stub.interfere = sign_up
    report = bulk()
    database.close()
    assert (report.status, report.orphans_found, stub.count) == (
        "completed",
        0,
        USERS + 40,
    )
    assert rows(connection).keys() == shown(stub)


@pytest.mark.parametrize("inclusive", [True, False], ids=["inclusive", "exclusive"])
@pytest.mark.parametrize("unknown_cursor_status", [404, 422])
def test_thousands_in_one_millisecond_are_all_seen_though_cursors_go(
    *,
    bulk: Bulk,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    inclusive: bool,
    unknown_cursor_status: int,
) -> None:
    """A bulk import amid users who came one by one; one in ten cursors is deleted."""
    with StubClerk(users=500, environment_type="production") as stub:
        ask_this_clerk(monkeypatch, stub)
        stub.listing.bounds_inclusive = inclusive
        stub.listing.unknown_cursor_status = unknown_cursor_status
        for number in range(2_000):
            at = 1_735_000_000_000
            stub.create_user(email=f"import{number}@example.com", created_at=at)
        asked = 0

        def delete(request: StubRequest) -> None:
            nonlocal asked
            asked += 1
            if asked % 10 == 0 and cursor(request) in stub.users:
                stub.delete_user(cursor(request))

        stub.interfere = delete
        assert bulk().status == "completed"
        assert 2_400 < stub.count < 2_500
        assert rows(connection).keys() >= shown(stub)
