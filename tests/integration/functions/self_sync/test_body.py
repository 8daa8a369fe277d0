"""The body of a sync: optional, and right when it is there."""

import json

import psycopg
import pytest

from tests.doors import (
    untouched,
)
from tests.integration.functions.self_sync.door import SYNC, Door
from tests.people import user_id


@pytest.mark.parametrize("body", [b"", b" \r\n\t"], ids=["no body", "white space"])
def test_a_body_is_not_needed(door: Door, body: bytes) -> None:
    """The token says who it is, and Clerk the rest."""
    assert door.sync(body=body).status == 200


def test_a_body_in_base64_is_read(door: Door, connection: psycopg.Connection) -> None:
    """Encoded or not, somebody else's id is somebody else's."""
    body = json.dumps({"userId": user_id(2), "email": "n@example.com"}).encode()
    with untouched(connection):
        assert door.sync(body=body, in_base64=True).status == 403


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"null",
        b"[]",
        b'"userId"',
        b"17",
        b"{}",
        b"\xff",
        b"userId=1",
        b"[" * 100_000,
        '{"userId": "ID"}',
        '{"email": "noor@example.com"}',
        '{"userId": "ID", "email": ""}',
        '{"userId": "ID", "email": null}',
        '{"userId": "ID", "email": 1}',
        '{"userId": "", "email": "noor@example.com"}',
        '{"userId": ["ID"], "email": "noor@example.com"}',
        '{"userId": "ID", "email": "noor@example.com", "firstName": 1}',
        '{"userId": "ID", "email": "noor@example.com", "imageUrl": {}}',
        '{"userId": "ID", "email": "\\ud800"}',
        '{"user_id": "ID", "email": "noor@example.com"}',
    ],
    ids=lambda body: ascii(body[:50]),
)
@pytest.mark.usefixtures("known")
def test_a_malformed_body_is_refused(
    door: Door, connection: psycopg.Connection, body: bytes | str
) -> None:
    """A body is optional, and must be right when it is there."""
    door.clerk.update_user(door.user_id, last_name="Changed")
    if isinstance(body, str):
        body = body.replace("ID", door.user_id).encode()
    with untouched(connection):
        answer = door.sync(body=body)
    assert answer.status == 400
    assert answer.error


@pytest.mark.parametrize("other", [user_id(2), "user_1", "someone", "\0"], ids=ascii)
@pytest.mark.usefixtures("known")
def test_a_body_for_somebody_else_is_forbidden(
    door: Door, connection: psycopg.Connection, other: str
) -> None:
    """A session syncs its own user only."""
    body = json.dumps({"userId": other, "email": "noor@example.com"}).encode()
    with untouched(connection):
        answer = door.sync(body=body)
    # What is empty without its NUL is no user id at all.
    assert answer.status == (400 if other == "\0" else 403)
    assert answer.error


def test_the_token_is_looked_at_before_the_body(door: Door) -> None:
    """A stranger learns nothing about which bodies are good."""
    assert door.ask("POST", SYNC, body=b"{").status == 401
