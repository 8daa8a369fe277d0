"""A user syncs itself: what its row then has, and what is kept."""

import json

import psycopg
import pytest

from clerksync.write.user_batches import UserBatches
from functions.self_sync import app
from tests.doors import (
    ask,
    sample,
    untouched,
)
from tests.integration.functions.self_sync.door import SYNC, Door, assert_row
from tests.tables import rows


@pytest.mark.parametrize("path", [SYNC, "/api/user/sync", SYNC + "/"])
def test_a_user_gets_its_row(
    door: Door, connection: psycopg.Connection, path: str
) -> None:
    """Both routes create the row before they answer, and give it back."""
    answer = door.ask("POST", path, door.token())
    assert (answer.status, answer.body["success"]) == (200, True)
    assert set(answer.body) == {"success", "user"}
    row = rows(connection)[door.user_id]
    assert (row["email"], row["name"], row["tier"]) == (
        "noor@example.com",
        "Noor Castell",
        "FREE",
    )
    assert_row(answer.body["user"], row)
    assert list(rows(connection, "rate_limits")) == [door.user_id]


def test_what_is_stored_is_what_clerk_says(
    door: Door, connection: psycopg.Connection
) -> None:
    """A body with a profile of its own changes nothing of the row."""
    body = {
        "userId": door.user_id,
        "email": "mallory@example.org",
        "firstName": "Mallory",
        "lastName": "Mallory",
        "imageUrl": "https://example.org/mallory.png",
        "tier": "PRO",
    }
    answer = door.sync(body=json.dumps(body).encode())
    assert answer.status == 200
    row = rows(connection)[door.user_id]
    assert "mallory" not in str(row).lower()
    assert (row["email"], row["tier"]) == ("noor@example.com", "FREE")
    assert_row(answer.body["user"], row)


@pytest.mark.usefixtures("known")
def test_syncing_again_writes_nothing(
    door: Door, connection: psycopg.Connection
) -> None:
    """A page that is loaded twice costs no write."""
    before = rows(connection)
    with untouched(connection):
        answer = door.sync()
    assert answer.status == 200
    assert_row(answer.body["user"], before[door.user_id])


@pytest.mark.usefixtures("known")
def test_what_belongs_to_the_application_is_kept(
    door: Door, connection: psycopg.Connection
) -> None:
    """A later sync brings the new name, and leaves tier and rate limit alone."""
    connection.execute("UPDATE users SET tier = 'PRO'")
    connection.execute("UPDATE rate_limits SET tokens = 3")
    limits = rows(connection, "rate_limits")
    door.clerk.update_user(door.user_id, last_name="Ibarra")
    answer = door.sync()
    assert (answer.body["user"]["name"], answer.body["user"]["tier"]) == (
        "Noor Ibarra",
        "PRO",
    )
    assert rows(connection)[door.user_id]["tier"] == "PRO"
    assert rows(connection, "rate_limits") == limits


def test_without_the_need_for_an_email_anybody_gets_a_row(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The setting reaches this door too."""
    monkeypatch.setenv("CLERKSYNC_REQUIRE_EMAIL", "false")
    door.clerk.update_user(door.user_id, email=None)
    answer = door.sync()
    assert (answer.status, answer.body["user"]["email"]) == (200, None)


def test_a_user_without_an_email_is_told_so(
    door: Door, connection: psycopg.Connection
) -> None:
    """While emails are required and there is no row, it is a 400."""
    door.clerk.update_user(door.user_id, email=None)
    answer = door.sync()
    assert answer.status == 400
    assert "email" in answer.error
    assert rows(connection) == {}


@pytest.mark.usefixtures("known")
def test_a_user_that_lost_its_email_keeps_its_row(
    door: Door, connection: psycopg.Connection
) -> None:
    """With a row, it is a 200: only creation asks for an email."""
    door.clerk.update_user(door.user_id, email=None)
    answer = door.sync()
    assert (answer.status, answer.body["user"]["email"]) == (200, None)
    assert rows(connection)[door.user_id]["email"] is None


def test_an_email_moves_to_the_user_who_has_it_now(
    door: Door, users: UserBatches, connection: psycopg.Connection
) -> None:
    """A row that still holds the address does not keep its new owner out."""
    other = door.clerk.create_user(email="old@example.com", notify=False)
    door.clerk.session_token(other["id"])
    assert door.sync(door.clerk.session_token(other["id"])).status == 200
    door.clerk.update_user(other["id"], email="new@example.com")
    door.clerk.update_user(door.user_id, email="old@example.com")
    answer = door.sync()
    assert (answer.status, answer.body["user"]["email"]) == (200, "old@example.com")
    assert rows(connection)[other["id"]]["email"] is None
    assert users.find(other["id"]) is not None


@pytest.mark.parametrize(
    ("name", "in_body"),
    [("self_sync", False), ("self_sync_with_body", True), ("users_me", False)],
)
@pytest.mark.usefixtures("known")
def test_the_sample_requests_are_answered(
    door: Door, name: str, *, in_body: bool
) -> None:
    """As they are, but for a token of now and the id of its user."""
    event = sample(name)
    event["headers"]["authorization"] = f"Bearer {door.token()}"
    if in_body:
        event["body"] = json.dumps(json.loads(event["body"]) | {"userId": door.user_id})
    answer = ask(app, event)
    assert (answer.status, answer.body["user"]["id"]) == (200, door.user_id)
