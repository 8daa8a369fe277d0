"""Deliveries that are well signed and badly formed."""

import json
import os
import time
from typing import Any

import psycopg
import pytest

from functions.webhook import app
from tests.doors import (
    api_request,
    ask,
    sign_by_hand,
    untouched,
)
from tests.integration.functions.webhook.door import PATH, Door
from tests.people import EPOCH_MS, user_id, user_json
from tests.tables import rows


def _nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def _user(**fields: Any) -> bytes:
    """A signed update of the user of `known`, in which some fields are spoilt."""
    user = user_json(1, version=99) | fields
    user = {name: value for name, value in user.items() if value is not ...}
    return json.dumps({"type": "user.updated", "data": user}).encode()


MALFORMED = {
    "empty": b"",
    "blank": b"  ",
    "no JSON": b"type=user.created",
    "half of it": b'{"type": "user.created", "data": {',
    "two of it": b"{}{}",
    "NaN": b'{"type": "user.updated", "data": NaN}',
    "a list": b"[]",
    "null": b"null",
    "a string": b'"user.created"',
    "a number": b"17",
    "no type": b'{"data": {}}',
    "type null": b'{"type": null}',
    "type a list": b'{"type": ["user.created"], "data": {}}',
    "no data": b'{"type": "user.created"}',
    "data null": b'{"type": "user.created", "data": null}',
    "data a list": b'{"type": "user.created", "data": []}',
    "data a string": b'{"type": "user.created", "data": "user_1"}',
    "data empty": b'{"type": "user.created", "data": {}}',
    "id missing": _user(id=...),
    "id null": _user(id=None),
    "id a number": _user(id=1),
    "id a list": _user(id=[user_id(1)]),
    "id of a session": _user(id="sess_2g7np7Hrk0SN6kj5EDMLDaKNL0S"),
    "id with a newline": _user(id=user_id(1) + "\n"),
    "id with a path": _user(id="user_1/../user_2"),
    "id too long": _user(id="user_" + "a" * 251),
    "id of nothing": _user(id="user_"),
    "updated_at missing": _user(updated_at=...),
    "updated_at null": _user(updated_at=None),
    "updated_at a string": _user(updated_at="yesterday"),
    "updated_at a time without zone": _user(updated_at="2026-01-01T00:00:00"),
    "updated_at a boolean": _user(updated_at=True),
    "updated_at a list": _user(updated_at=[EPOCH_MS]),
    "updated_at huge": _user(updated_at=10**20),
    "updated_at of 5000 digits": _user().replace(b"1767614400099", b"9" * 5000),
    "updated_at after year 9999": _user(updated_at=253_402_300_800_000),
    "created_at a string": _user(created_at="once"),
    "first_name a number": _user(first_name=17),
    "first_name a list": _user(first_name=["Noor"]),
    "emails an object": _user(email_addresses={}),
    "emails of strings": _user(email_addresses=["noor@example.com"]),
    "emails without id": _user(email_addresses=[{"email_address": "n@example.com"}]),
    "phones a number": _user(phone_numbers=1),
    "metadata a list": _user(public_metadata=[1]),
    "metadata a string": _user(public_metadata="Noor"),
    "metadata with infinity": _user(public_metadata={"a": 0}).replace(b"0}", b"1e999}"),
    "metadata nested deep": _user(public_metadata={"a": "deep"}).replace(
        b'"deep"', _nested(100_000)
    ),
    "a lone surrogate": _user(first_name="\ud800"),
    "a lone surrogate in metadata": _user(public_metadata={"a": "\udfff"}),
    "banned a text": _user(banned="Noor"),
    "deletion without data": b'{"type": "user.deleted"}',
    "deletion of a list": b'{"type": "user.deleted", "data": ["user_1"]}',
    "deletion of a number": b'{"type": "user.deleted", "data": {"id": 1}}',
    "deletion of a session": b'{"type": "user.deleted", "data": {"id": "sess_1"}}',
    "deletion with a newline": json.dumps(
        {"type": "user.deleted", "data": {"id": user_id(1) + "\n"}}
    ).encode(),
    "100,000 brackets": _nested(100_000),
    "100,000 open brackets": b"[" * 100_000,
    "100,000 objects": b'{"type":' * 100_000,
}


@pytest.mark.parametrize("name", MALFORMED)
@pytest.mark.usefixtures("known")
def test_a_malformed_body_is_refused(
    door: Door, connection: psycopg.Connection, name: str
) -> None:
    """Signed or not, what is no event of Clerk's is a 400 and leaves no trace."""
    with untouched(connection):
        answer = door.deliver(MALFORMED[name])
    assert answer.status == 400
    assert answer.error


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe{}",
        b'{"type": "\xe9"}',
        b'{"type": "\xed\xa0\x80"}',
        b"\x00",
        b"\x80" * 9,
    ],
    ids=["byte order mark", "Latin-1", "encoded surrogate", "NUL", "binary"],
)
@pytest.mark.usefixtures("known")
def test_a_body_that_is_no_text_is_refused(
    door: Door, connection: psycopg.Connection, body: bytes
) -> None:
    """Bytes that are no UTF-8 are a 400, even with a signature that fits them."""
    secret = door.clerk.webhook_signing_secret
    headers = sign_by_hand(secret, body, timestamp=str(int(time.time())))
    with untouched(connection):
        answer = door.post(body, headers)
    assert answer.status == 400
    assert answer.error


def test_half_a_character_in_the_body_is_refused(door: Door) -> None:
    """Lambda's own JSON may hold a lone surrogate, which no UTF-8 can."""
    request = api_request("POST", PATH, headers=door.clerk.sign(b"{}"))
    answer = ask(app, request | {"body": '{"type": "\ud800"}'})
    assert answer.status == 400
    assert answer.error


@pytest.mark.usefixtures("known")
def test_an_email_too_long_for_its_index_is_refused(
    door: Door, connection: psycopg.Connection
) -> None:
    """Postgres cannot index it, and no retry will change that: a 400."""
    letters = os.urandom(5_000).hex()
    before = rows(connection), rows(connection, "sync_state")
    answer = door.updated(email=f"{letters}@example.com")
    assert answer.status == 400
    assert answer.error
    assert (rows(connection), rows(connection, "sync_state")) == before


@pytest.mark.parametrize(
    "change",
    [
        {"headers": None},
        {"headers": {}},
        {"body": None},
        {"requestContext": {}},
        {"cookies": None},
    ],
    ids=repr,
)
@pytest.mark.usefixtures("door")
def test_a_request_with_parts_missing_is_refused(change: dict[str, Any]) -> None:
    """An event made by hand may lack what API Gateway always sends."""
    request = api_request("POST", PATH, body=b"{}") | change
    assert ask(app, request).status == 400
