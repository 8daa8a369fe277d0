"""Deliveries that are not signed, or not well, or not now."""

import json
import time
from typing import Any

import psycopg
import pytest
from standardwebhooks.webhooks import hmac_data

from tests.clock import stop_the_date
from tests.doors import (
    sign_by_hand,
    untouched,
)
from tests.integration.functions.webhook.door import OTHER_SECRET, Door


@pytest.mark.parametrize("name", ["svix-id", "svix-timestamp", "svix-signature"])
@pytest.mark.parametrize("value", [None, "", " "], ids=["missing", "empty", "blank"])
@pytest.mark.usefixtures("known")
def test_a_delivery_without_one_of_the_headers_is_refused(
    door: Door,
    connection: psycopg.Connection,
    event: dict[str, Any],
    name: str,
    value: str | None,
) -> None:
    """Each of the three is needed."""
    body = json.dumps(event).encode()
    headers = door.clerk.sign(body)
    del headers[name]
    if value is not None:
        headers[name] = value
    with untouched(connection):
        answer = door.post(body, headers)
    assert answer.status == 400
    assert answer.error


@pytest.mark.parametrize(
    "signature",
    [
        "v1",
        "v1,",
        "v1,%%%",
        "v1,a",
        "v1,é",
        "v1,AAAA",
        "v1,AAAA,AAAA",
        "v2,AAAA",
        "\ud800",
        "null",
        "v1,AAAA v1,BBBB",
        ",",
        ", ,",
        "v1,AAAA " * 50,
    ],
    ids=ascii,
)
@pytest.mark.usefixtures("known")
def test_a_malformed_signature_is_refused(
    door: Door, connection: psycopg.Connection, event: dict[str, Any], signature: str
) -> None:
    """Whatever a stranger writes there is a 400, never an error of ours."""
    with untouched(connection):
        answer = door.deliver(event, svix_signature=signature)
    assert answer.status == 400
    assert answer.error


@pytest.mark.usefixtures("known")
def test_a_good_signature_under_another_version_is_refused(
    door: Door, connection: psycopg.Connection, event: dict[str, Any]
) -> None:
    """Only v1 is HMAC-SHA256."""
    body = json.dumps(event).encode()
    headers = door.clerk.sign(body)
    signature = headers["svix-signature"].replace("v1,", "v2,")
    with untouched(connection):
        assert door.post(body, headers | {"svix-signature": signature}).status == 400


@pytest.mark.parametrize("what", ["secret", "body", "id", "timestamp"])
@pytest.mark.usefixtures("known")
def test_a_signature_of_something_else_is_refused(
    door: Door, connection: psycopg.Connection, event: dict[str, Any], what: str
) -> None:
    """A signature binds secret, body, id and timestamp together."""
    body = json.dumps(event).encode()
    headers = door.clerk.sign(body, "msg_one")
    now = headers["svix-timestamp"]
    match what:
        case "secret":
            headers = sign_by_hand(OTHER_SECRET, body, timestamp=now)
        case "body":
            body = json.dumps(event, indent=1).encode()
        case "id":
            headers["svix-id"] = "msg_two"
        case "timestamp":
            headers["svix-timestamp"] = str(int(now) - 1)
    with untouched(connection):
        answer = door.post(body, headers)
    assert answer.status == 400
    assert "secret" in answer.error


@pytest.mark.parametrize("minutes", [-(60 * 24), -5.1, 5.1, 60 * 24])
@pytest.mark.usefixtures("known")
def test_an_old_or_early_signature_is_refused(
    door: Door,
    connection: psycopg.Connection,
    event: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    minutes: float,
) -> None:
    """A message that somebody recorded cannot be replayed for ever."""
    now = int(time.time())
    stop_the_date(monkeypatch, "standardwebhooks.webhooks", now)
    body = json.dumps(event).encode()
    headers = door.clerk.sign(body, timestamp=now + minutes * 60)
    with untouched(connection):
        answer = door.post(body, headers)
    assert answer.status == 400
    assert "5 minutes" in answer.error


@pytest.mark.parametrize(
    "timestamp",
    [
        "nan",
        "inf",
        "-inf",
        "1e400",
        "-1",
        "0",
        "9" * 30,
        "9" * 5000,
        "soon",
        "0x1",
        "\0",
    ],
    ids=lambda text: ascii(text[:10]),
)
@pytest.mark.usefixtures("known")
def test_a_timestamp_that_is_no_time_is_refused(
    door: Door, connection: psycopg.Connection, event: dict[str, Any], timestamp: str
) -> None:
    """Even signed with the right secret, a time that is none is never within reach."""
    body = json.dumps(event).encode()
    secret = door.clerk.webhook_signing_secret
    with untouched(connection):
        answer = door.post(body, sign_by_hand(secret, body, timestamp=timestamp))
    assert answer.status == 400
    assert answer.error


@pytest.mark.parametrize("signature", ["v1,AAAA", "v1,", "garbage"])
def test_many_signatures_cost_no_more_than_a_few(
    door: Door,
    event: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    signature: str,
) -> None:
    """A stranger cannot have a large body hashed a thousand times with one request."""
    hashed: list[int] = []

    def counting(key: bytes, data: bytes) -> bytes:
        hashed.append(len(data))
        return hmac_data(key, data)

    monkeypatch.setattr("standardwebhooks.webhooks.hmac_data", counting)
    many = " ".join([signature] * 1000)
    assert door.deliver(event, svix_signature=many).status == 400
    assert len(hashed) <= 20  # Svix itself sends two, during a rotation
