"""Sync keeps what is the application's: the tier and the bucket."""

import json
from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from clerksync.postgres.database import Database
from clerksync.write.rate_limits import Decision, consume
from functions.bulk_sync import app as bulk_sync
from functions.self_sync import app as self_sync
from functions.webhook import app as webhook
from local.stack.functions import close_connections
from local.stub_clerk.stub import StubClerk
from tests.doors import api_request, ask, ask_this_clerk
from tests.integration.write.rate_limits.buckets import Buckets
from tests.tables import rows


@pytest.fixture
def stub(environment: pytest.MonkeyPatch) -> Iterator[StubClerk]:
    """The functions as deployed, and a Clerk that all of them know."""
    with StubClerk() as stub:
        ask_this_clerk(environment, stub)
        environment.setenv("CLERK_ISSUER", stub.issuer)
        secret = stub.webhook_signing_secret
        environment.setenv("CLERK_WEBHOOK_SIGNING_SECRET", secret)
        yield stub
        close_connections()


def sync(door: str, stub: StubClerk, clerk_id: str) -> None:
    """Bring in what Clerk says now, through one of the three doors."""
    if door == "webhook":
        body = json.dumps(stub.event("user.updated", stub.get_user(clerk_id))).encode()
        event = api_request(
            "POST", "/api/webhooks/clerk", body=body, headers=stub.sign(body)
        )
        assert ask(webhook, event).status == 200
    elif door == "self-sync":
        headers = {"authorization": f"Bearer {stub.session_token(clerk_id)}"}
        event = api_request("POST", "/api/users/sync", headers=headers)
        assert ask(self_sync, event).status == 200
    else:
        assert bulk_sync.handler({}, None)["status"] == "completed"


@pytest.mark.parametrize("door", ["webhook", "self-sync", "bulk sync"])
def test_a_later_sync_keeps_tier_and_bucket(
    door: str,
    stub: StubClerk,
    database: Database,
    buckets: Buckets,
    connection: psycopg.Connection,
) -> None:
    """Created FREE with a full bucket; from then on both are the application's."""
    clerk_id = stub.create_user(email="noor@example.com", first_name="Noor")["id"]
    sync(door, stub, clerk_id)
    assert rows(connection)[clerk_id]["tier"] == "FREE"
    buckets.change(clerk_id, "TEN")
    assert consume(database, clerk_id, 4) == Decision(True, 6, 0)
    before = rows(connection, "rate_limits")
    stub.update_user(clerk_id, first_name="Changed")
    sync(door, stub, clerk_id)
    row = rows(connection)[clerk_id]
    assert (row["first_name"], row["tier"]) == ("Changed", "TEN")
    assert rows(connection, "rate_limits") == before
    assert consume(database, clerk_id) == Decision(True, 5, 0)


@pytest.mark.parametrize("door", ["webhook", "self-sync", "bulk sync"])
def test_no_door_waits_for_a_request_that_holds_its_bucket(
    door: str,
    stub: StubClerk,
    environment: pytest.MonkeyPatch,
    database_url: str,
    connection: psycopg.Connection,
) -> None:
    """A token that is taken in a transaction locks the bucket until its end."""
    clerk_id = stub.create_user(email="noor@example.com")["id"]
    sync(door, stub, clerk_id)
    stub.update_user(clerk_id, first_name="Changed")
    impatient = make_conninfo(database_url, options="-c lock_timeout=10s")
    environment.setenv("DATABASE_URL", impatient)
    with connection.transaction():
        assert consume(connection, clerk_id).allowed
        sync(door, stub, clerk_id)
        assert rows(connection)[clerk_id]["first_name"] == "Changed"
