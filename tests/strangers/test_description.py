"""docs/openapi.yaml says what template.yaml routes and what the functions answer."""

import json
from typing import Any

import pytest

from local.stub_clerk.faults import Fault
from tests.doors import UNREACHABLE, api_request
from tests.integration.functions.self_sync.door import ME, SYNC
from tests.integration.functions.webhook.door import PATH as WEBHOOK
from tests.people import user_json
from tests.strangers.description import DESCRIPTION, routes, statuses
from tests.strangers.stack import Stack
from tests.template import FUNCTIONS

SINGULAR = "/api/user/sync"


def test_the_routes_are_those_of_the_template() -> None:
    """Each is described, and nothing else is."""
    events = [
        event["Properties"]
        for function in FUNCTIONS.values()
        for event in function.get("Events", {}).values()
        if event["Type"] == "HttpApi"
    ]
    routed = {(event["Method"], event["Path"]) for event in events}
    assert set(routes()) == routed


def test_every_operation_has_a_name_of_its_own() -> None:
    """Generators of clients make functions of them."""
    names = [
        operation["operationId"]
        for methods in DESCRIPTION["paths"].values()
        for operation in methods.values()
    ]
    assert len(set(names)) == len(names) == len(list(routes()))


def test_the_row_is_described_with_all_its_columns(stack: Stack) -> None:
    """What the functions show is what the description names, and no more."""
    shown = ask(stack, "GET", ME).body["user"]
    assert (
        shown.keys()
        == DESCRIPTION["components"]["schemas"]["User"]["properties"].keys()
    )


def ask(stack: Stack, method: str, path: str, **request: Any) -> Any:
    """Ask with a good token; `Stack.ask` holds the answer against the description."""
    headers = {"authorization": f"Bearer {stack.self_syncs.token()}"}
    return stack.ask(api_request(method, path, **{"headers": headers} | request))


def test_every_answer_of_a_webhook_is_there(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """200, 400, 500: each is met, and is as described."""
    event = json.dumps(stack.clerk.event("user.created", user_json())).encode()
    good = api_request("POST", WEBHOOK, body=event, headers=stack.clerk.sign(event))
    met = {stack.ask(good).status, stack.ask(good | {"body": "{}"}).status}
    monkeypatch.setenv("DATABASE_URL", UNREACHABLE)
    assert met | {stack.ask(good).status} == statuses("POST", WEBHOOK)


@pytest.mark.parametrize("path", [SYNC, SINGULAR])
def test_every_answer_of_a_self_sync_is_there(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """From 200 to 503, under either name."""
    other = b'{"userId": "user_2", "email": "a@b"}'
    met = {
        ask(stack, "POST", path).status,
        ask(stack, "POST", path, body=b"[]").status,
        ask(stack, "POST", path, body=other).status,
        ask(stack, "POST", path, headers={}).status,
    }
    stack.clerk.fail_next(9, fault=Fault(status=429, headers={"Retry-After": "60"}))
    met.add(ask(stack, "POST", path).status)
    monkeypatch.setenv("DATABASE_URL", UNREACHABLE)
    assert met | {ask(stack, "POST", path).status} == statuses("POST", path)


def test_every_answer_about_the_own_row_is_there(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With and without a row, a session, keys to check it, and a database."""
    met = {
        ask(stack, "GET", ME).status,
        ask(stack, "GET", ME, headers={}).status,
    }
    stack.connection.execute("DELETE FROM users")
    met.add(ask(stack, "GET", ME).status)
    monkeypatch.setenv("DATABASE_URL", UNREACHABLE)
    met.add(ask(stack, "GET", ME).status)
    monkeypatch.setenv("CLERK_ISSUER", "http://127.0.0.1:1")
    met.add(ask(stack, "GET", ME).status)
    assert met == statuses("GET", ME)
