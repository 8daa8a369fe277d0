"""What a webhook does while a bulk run asks Clerk."""

from collections.abc import Iterator

import psycopg
import pytest

from clerksync.clerk.user import parse_user
from clerksync.postgres.database import Database
from clerksync.write.user_batches import UserBatches
from local.stub_clerk.faults import StubRequest
from local.stub_clerk.stub import StubClerk
from tests.integration.bulk.bulk import Bulk
from tests.people import a_user, shown, user_id
from tests.tables import rows


@pytest.fixture
def webhook(database_url: str) -> Iterator[UserBatches]:
    """The table as another function sees it, over its own connection."""
    database = Database(lambda: database_url)
    yield UserBatches(database)
    database.close()


def test_who_was_synced_after_the_run_began_is_no_candidate(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, webhook: UserBatches
) -> None:
    """An old row, unknown to the listing, that a webhook wrote in mid-walk."""
    bulk()
    webhook.upsert(a_user(1))

    def update(request: StubRequest) -> None:
        if "starting_after" in request.query:
            webhook.upsert(a_user(1, version=1, first_name="Fresh"))

    stub.interfere = update
    report = bulk()
    assert (report.orphans_found, report.deleted) == (0, 0)
    assert rows(connection)[user_id(1)]["first_name"] == "Fresh"


@pytest.mark.parametrize("mode", ["full", "user"])
def test_who_is_synced_while_clerk_is_asked_for_proof_is_spared(
    bulk: Bulk,
    stub: StubClerk,
    connection: psycopg.Connection,
    webhook: UserBatches,
    mode: str,
) -> None:
    """Clerk did not know the user; a webhook, meanwhile, did."""
    bulk()
    webhook.upsert(a_user(1))

    def update(request: StubRequest) -> None:
        if "user_id" in request.query or request.path.endswith(user_id(1)):
            webhook.upsert(a_user(1, version=1, first_name="Fresh"))

    stub.interfere = update
    report = bulk() if mode == "full" else bulk("user", user_id=user_id(1))
    assert report.deleted == 0
    assert user_id(1) in rows(connection)


@pytest.mark.parametrize("mode", ["full", "user"])
def test_a_deletion_while_clerk_is_asked_by_id_stands(
    bulk: Bulk,
    stub: StubClerk,
    connection: psycopg.Connection,
    webhook: UserBatches,
    mode: str,
) -> None:
    """The clock was read before asking: the tombstone is younger than the proof."""
    bulk()
    leaver = min(shown(stub))
    webhook.delete([leaver])

    def delete(request: StubRequest) -> None:
        if "user_id" in request.query or request.path.endswith(leaver):
            webhook.delete([leaver])

    stub.interfere = delete
    report = bulk() if mode == "full" else bulk("user", user_id=leaver)
    assert report.created == 0
    assert leaver not in rows(connection)


def test_an_orphan_known_by_id_and_deleted_meanwhile_stays_deleted(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, webhook: UserBatches
) -> None:
    """The listing lacked it, Clerk's answer by id had it, the webhook came between."""
    bulk()
    hidden = min(shown(stub))
    user = stub.get_user(hidden)
    stub.delete_user(hidden)

    def come_and_go(request: StubRequest) -> None:
        if "user_id" in request.query and hidden not in stub.ids():
            stub.users.add(user)
            webhook.delete([hidden])

    stub.interfere = come_and_go
    report = bulk()
    assert hidden not in rows(connection)
    assert report.skipped == 1 + 1_199 - len(shown(stub)) + 1


def test_a_newer_webhook_beats_the_page_that_was_read_before(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, webhook: UserBatches
) -> None:
    """The page is written when the webhook has long been."""
    bulk()
    clerk_id = min(shown(stub), key=lambda i: stub.get_user(i)["created_at"])

    def rename(request: StubRequest) -> None:
        if "starting_after" in request.query:
            renamed = stub.update_user(clerk_id, first_name="Newer")
            webhook.upsert(parse_user(renamed))

    stub.interfere = rename
    assert bulk().status == "completed"
    assert rows(connection)[clerk_id]["first_name"] == "Newer"
