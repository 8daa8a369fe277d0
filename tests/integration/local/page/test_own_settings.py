"""With a Clerk instance and a database of one's own, the page only reads."""

import psycopg
import pytest

from clerksync.settings.environment import Settings
from local.page.routes import Page
from local.stub_clerk.stub import StubClerk
from tests.doors import untouched
from tests.laptop import Laptop

ACTIONS = [
    path
    for method, path in Page(Settings(), StubClerk()).routes({})
    if method == "POST"
]


@pytest.mark.parametrize("path", ACTIONS)
def test_no_action_is_there(
    own: Laptop, connection: psycopg.Connection, path: str
) -> None:
    """What the page can do to a stub, it cannot do here, by any method."""
    clerk_id = own.clerk.ids()[0]
    body = {"id": clerk_id, "email": "a@example.com", "first_name": "A", "tier": "PRO"}
    with untouched(connection):
        assert own.post(path, body).status == 404
        assert own.post(path, {}).status == 404
        assert own.get(path).status == 404
    assert own.clerk.users.changes == 0
    assert own.clerk.deliveries == []


def test_there_are_actions_to_be_without() -> None:
    """Or the test above would see nothing."""
    assert "/page/delete" in ACTIONS
    assert len(ACTIONS) == 10


def test_nothing_of_the_page_takes_a_post(
    own: Laptop, connection: psycopg.Connection
) -> None:
    """Not even what it can be asked for."""
    with untouched(connection):
        for path in ("/", "/page/state", "/page/user", "/page/page.js"):
            assert own.post(path, {}).status == 404


def test_rows_deliveries_by_self_sync_and_runs_are_shown(own: Laptop) -> None:
    """What Clerk has is not asked for at each look: it counts requests."""
    user = own.clerk.create_user(email="noor@example.com", first_name="Noor")["id"]
    assert own.clerk.wait_for_deliveries(30)
    assert own.self_sync(own.clerk.session_token(user)) == 200
    own.clerk.reset_requests()
    state = own.state()
    assert own.clerk.requests == 0
    assert state["stub"] is False
    assert "deliveries" not in state
    assert "clerk" not in state["counts"]
    (shown,) = state["users"]
    assert shown["standing"] == "synced"
    assert "clerk" not in shown
    assert shown["row"]["email"] == "noor@example.com"
    assert [sync["user_id"] for sync in state["self_syncs"]] == [user]


def test_a_row_that_no_sync_has_written_is_told_apart(
    own: Laptop, connection: psycopg.Connection
) -> None:
    """It is found by a search: there is no moment at which it was synced."""
    connection.execute("INSERT INTO users (id, email) VALUES ('admin', 'a@b.test')")
    assert own.state()["users"] == []
    assert own.user("admin")["standing"] == "not synced"


def test_opening_a_user_asks_clerk_once(
    own: Laptop, connection: psycopg.Connection
) -> None:
    """By id, and writes nothing of what it says."""
    user = own.clerk.ids()[0]
    own.clerk.reset_requests()
    with untouched(connection):
        answer = own.get(f"/page/user?id={user}").json()
    assert [r.path for r in own.clerk.request_log] == [f"/v1/users/{user}"]
    fields = {field["name"]: field for field in answer["fields"]}
    assert fields["version"]["clerk"]
    assert fields["version"]["table"] is None
