"""The walk through Clerk's listing, whose pages and cursors change underfoot."""

import psycopg
import pytest

from local.stub_clerk.faults import Fault, StubRequest
from local.stub_clerk.stub import StubClerk
from tests.doors import ask_this_clerk
from tests.integration.bulk.bulk import Bulk
from tests.people import shown
from tests.tables import rows


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
        ask_this_clerk(monkeypatch, stub)
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
    crowd = set(stub.ids()[:1_100])
    stub.interfere = lambda request: (
        Fault(status=422) if "starting_after" in request.query else None
    )
    assert bulk().status == "partial"
    assert len(rows(connection).keys() & crowd) == 500


def test_a_small_crowd_costs_no_search_for_others(
    bulk: Bulk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All in one millisecond, and the count says that nobody else is to come."""
    with StubClerk() as stub:
        ask_this_clerk(monkeypatch, stub)
        for number in range(600):
            stub.create_user(
                email=f"{number}@example.com", created_at=1_000_000_000_000
            )
        report = bulk()
    assert (report.status, report.fetched) == ("completed", 600)
    assert report.requests == 5  # the instance, two counts and two pages
