"""sync_state claims a newer version than Clerk has, and the row is wrong or missing."""

from collections.abc import Iterator

import psycopg
import pytest

from clerksync.clerk.user import parse_user
from clerksync.postgres.database import Database
from clerksync.write.user_batches import UserBatches
from local.stub_clerk.faults import StubRequest
from local.stub_clerk.stub import StubClerk
from tests.integration.bulk.bulk import Bulk
from tests.people import shown
from tests.tables import rows

_AHEAD = """
    UPDATE sync_state SET clerk_updated_at = clerk_updated_at + interval '1 day'
    WHERE clerk_id = ANY (%s)
"""


@pytest.fixture
def webhook(database_url: str) -> Iterator[UserBatches]:
    """The table as another function sees it, over its own connection."""
    database = Database(lambda: database_url)
    yield UserBatches(database)
    database.close()


@pytest.fixture
def wrong(bulk: Bulk, stub: StubClerk, connection: psycopg.Connection) -> list[str]:
    """Three users whose version is ahead: the first row differs from Clerk's, the
    second is missing, and the third is in sync."""
    bulk()
    wrong = sorted(shown(stub))[:3]
    connection.execute(_AHEAD, [wrong])
    connection.execute(
        "UPDATE users SET first_name = 'Wrong' WHERE id = %s", [wrong[0]]
    )
    connection.execute("DELETE FROM users WHERE id = %s", [wrong[1]])
    return wrong


def asked_by_id(stub: StubClerk) -> int:
    return sum("user_id" in request.query for request in stub.request_log)


def test_a_full_run_repairs_rows_whose_version_is_ahead(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, wrong: list[str]
) -> None:
    """One request confirms Clerk's versions; the next run then asks for nobody."""
    stub.reset_requests()
    report = bulk()
    assert (report.status, report.updated, report.created) == ("completed", 1, 1)
    assert asked_by_id(stub) == 1
    table = rows(connection)
    for clerk_id in wrong[:2]:
        assert table[clerk_id]["first_name"] == stub.get_user(clerk_id)["first_name"]
    stub.reset_requests()
    report = bulk()
    assert (report.updated, report.created, asked_by_id(stub)) == (0, 0, 0)


def test_a_dry_run_shows_rows_whose_version_is_ahead(
    bulk: Bulk, connection: psycopg.Connection, wrong: list[str]
) -> None:
    """It changes nothing."""
    report = bulk(dry_run=True)
    assert (report.updated, report.created) == (1, 1)
    assert rows(connection)[wrong[0]]["first_name"] == "Wrong"


def test_a_run_for_one_user_repairs_a_row_whose_version_is_ahead(
    bulk: Bulk, wrong: list[str]
) -> None:
    """Clerk is asked by ID in any case."""
    assert bulk("user", user_id=wrong[0]).updated == 1
    assert bulk("user", user_id=wrong[1]).created == 1


def test_a_webhook_that_arrives_while_clerk_is_asked_wins(
    *,
    bulk: Bulk,
    stub: StubClerk,
    connection: psycopg.Connection,
    wrong: list[str],
    webhook: UserBatches,
) -> None:
    """Its version is newer than what Clerk had returned by then."""
    user = stub.get_user(wrong[0])

    def update(request: StubRequest) -> None:
        if "user_id" in request.query:
            later = user["updated_at"] + 2 * 86_400_000
            newer = user | {"first_name": "Fresh", "updated_at": later}
            webhook.upsert(parse_user(newer))

    stub.interfere = update
    report = bulk()
    assert (report.status, report.updated, report.created) == ("completed", 0, 1)
    assert rows(connection)[wrong[0]]["first_name"] == "Fresh"


def test_a_version_that_a_webhook_claims_during_the_run_is_not_doubted(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, webhook: UserBatches
) -> None:
    """The listing was read before; Clerk is not asked again."""
    bulk()
    last = stub.get_user(stub.ids()[-1])

    def update(request: StubRequest) -> None:
        if "starting_after" in request.query:
            later = last["updated_at"] + 1_000
            newer = last | {"first_name": "Fresh", "updated_at": later}
            webhook.upsert(parse_user(newer))

    stub.reset_requests()
    stub.interfere = update
    report = bulk()
    assert (report.status, report.updated, asked_by_id(stub)) == ("completed", 0, 0)
    assert rows(connection)[last["id"]]["first_name"] == "Fresh"


def test_a_single_look_up_by_id_does_not_outweigh_a_newer_version(
    stub: StubClerk, wrong: list[str], webhook: UserBatches
) -> None:
    """Self-sync follows a webhook closely, when Clerk's response may be older."""
    user = parse_user(stub.get_user(wrong[0]))
    assert webhook.upsert(user, confirmed_at=webhook.clock()).action == "unchanged"
