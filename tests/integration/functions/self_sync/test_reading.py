"""A user reads its own row; routes that are not there."""

import psycopg
import pytest

from tests.doors import (
    untouched,
)
from tests.integration.functions.self_sync.door import ME, SYNC, Door, assert_row
from tests.tables import rows


@pytest.mark.usefixtures("known")
def test_a_user_reads_its_own_row(door: Door, connection: psycopg.Connection) -> None:
    """The row as stored; Clerk is not asked for the user, and nothing is written."""
    other = door.clerk.create_user(email="other@example.com")
    door.sync(door.clerk.session_token(other["id"]))
    door.clerk.update_user(door.user_id, last_name="Changed")
    door.clerk.reset_requests()
    with untouched(connection):
        answer = door.me()
    assert (answer.status, set(answer.body)) == (200, {"user"})
    assert_row(answer.body["user"], rows(connection)[door.user_id])
    assert answer.body["user"]["name"] == "Noor Castell"
    assert door.asked() == 0


def test_a_user_without_a_row_is_not_synced_yet(
    door: Door, connection: psycopg.Connection
) -> None:
    """404, and reading creates nothing."""
    with untouched(connection):
        answer = door.me()
    assert answer.status == 404
    assert "sync" in answer.error


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", SYNC),
        ("POST", ME),
        ("DELETE", ME),
        ("GET", "/"),
        ("GET", "/api/users/me/x"),
        ("POST", "/api/users/sync/me"),
        ("POST", "/API/USERS/SYNC"),
        ("POST", "/api/webhooks/clerk"),
    ],
)
def test_another_route_is_not_there(
    door: Door, connection: psycopg.Connection, method: str, path: str
) -> None:
    """404 in the form of every error, with or without a token."""
    with untouched(connection):
        for token in ("", door.token()):
            answer = door.ask(method, path, token)
            assert answer.status == 404
            assert answer.error
