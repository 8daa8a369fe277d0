"""The forms that a good delivery may have: bodies, headers, signatures."""

import json
import time
from typing import Any

import psycopg
import pytest

from functions.webhook import app
from tests.clock import stop_the_date
from tests.doors import (
    api_request,
    ask,
)
from tests.integration.functions.webhook.door import PATH, Door, action
from tests.people import user_id, user_json
from tests.tables import rows


def test_a_body_in_base64_is_decoded_before_it_is_checked(
    door: Door, event: dict[str, Any]
) -> None:
    """API Gateway encodes what it takes for binary; the signature is of the bytes."""
    body = json.dumps(event, ensure_ascii=False).encode()
    headers = door.clerk.sign(body)
    request = api_request("POST", PATH, body=body, headers=headers, in_base64=True)
    assert request["isBase64Encoded"]
    assert action(ask(app, request)) == "created"


def test_a_body_that_only_claims_to_be_base64_is_refused(door: Door) -> None:
    """A stranger's encoding error is a 400."""
    request = api_request("POST", PATH, body=b"{}", headers=door.clerk.sign(b"{}"))
    answer = ask(app, request | {"isBase64Encoded": True})
    assert answer.status == 400
    assert answer.error


def test_header_names_have_no_case(door: Door, event: dict[str, Any]) -> None:
    """Tools and proxies write them as they like."""
    body = json.dumps(event).encode()
    headers = {name.title(): value for name, value in door.clerk.sign(body).items()}
    assert "Svix-Id" in headers
    assert action(door.post(body, headers)) == "created"


def test_letters_of_any_script_arrive_as_they_are(
    door: Door, connection: psycopg.Connection
) -> None:
    """Unescaped UTF-8 is signed, decoded and stored without a change."""
    user = user_json(first_name="Zoë 🦊", last_name="Łukasiewicz 王")
    body = json.dumps(door.clerk.event("user.created", user), ensure_ascii=False)
    assert action(door.deliver(body.encode())) == "created"
    assert rows(connection)[user_id(1)]["name"] == "Zoë 🦊 Łukasiewicz 王"


@pytest.mark.parametrize("minutes", [-4.9, 0, 4.9])
def test_a_signature_holds_for_five_minutes(
    door: Door, event: dict[str, Any], monkeypatch: pytest.MonkeyPatch, minutes: float
) -> None:
    """Clocks differ, in both directions."""
    now = int(time.time())
    stop_the_date(monkeypatch, "standardwebhooks.webhooks", now)
    body = json.dumps(event).encode()
    headers = door.clerk.sign(body, timestamp=now + minutes * 60)
    assert action(door.post(body, headers)) == "created"


@pytest.mark.parametrize(
    "before",
    ["v1,", "v1", "garbage", "v1,%%%", "v1,a", "v2,AAAA", "v1a,AAAA", ",", "é"],
)
def test_one_good_signature_among_others_is_enough(
    door: Door, event: dict[str, Any], before: str
) -> None:
    """A signature that is wrong or malformed does not hide the good one behind it."""
    body = json.dumps(event).encode()
    headers = door.clerk.sign(body)
    headers["svix-signature"] = f"{before} {headers['svix-signature']}"
    assert action(door.post(body, headers)) == "created"
