"""The stub Clerk's webhooks: worded as Clerk's, signed and retried as Svix's."""

import json
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.client import HTTPResponse
from types import SimpleNamespace
from typing import Any

import pytest
from svix.webhooks import Webhook, WebhookVerificationError

from local.stub_clerk.stub import StubClerk
from local.stub_clerk.webhooks.deliveries import Delivery
from tests.openapi import assert_event, needs_specifications
from tests.terminal import eventually
from tests.unit.local.stub_clerk.endpoint import Endpoint


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """An endpoint of the test's own."""
    with Endpoint() as endpoint:
        thread = threading.Thread(target=endpoint.serve_forever, args=(0.005,))
        thread.start()
        yield endpoint
        endpoint.released.set()
        endpoint.shutdown()
        thread.join()


@pytest.fixture
def stub(endpoint: Endpoint) -> Iterator[StubClerk]:
    """A stub that delivers to the endpoint; its five minutes are 30 milliseconds."""
    with StubClerk(webhook_url=endpoint.url, time_scale=0.0001) as stub:
        yield stub


@needs_specifications
def test_each_change_sends_an_event_as_clerk_words_it(stub: StubClerk) -> None:
    """Created, updated, deleted: valid by the specification, in milliseconds."""
    started = time.time_ns() // 1_000_000
    user = stub.create_user(email="a@example.com", external_id="crm-1")
    updated = stub.update_user(user["id"], first_name="Ann")
    stub.delete_user(user["id"])
    assert stub.wait_for_deliveries(30)
    events: list[dict[str, Any]] = [delivery.event for delivery in stub.deliveries]
    for event in events:
        assert_event(event)
        assert event["instance_id"] == stub.instance_id
        assert started <= event["timestamp"] <= time.time_ns() // 1_000_000 + 1000
    assert [event["type"] for event in events] == [
        "user.created",
        "user.updated",
        "user.deleted",
    ]
    assert [event["data"] for event in events[:2]] == [user, updated]
    assert events[2]["data"] == {
        "object": "user",
        "id": user["id"],
        "deleted": True,
        "external_id": "crm-1",
    }


def test_what_happens_behind_our_back_sends_nothing(
    stub: StubClerk, endpoint: Endpoint
) -> None:
    """With notify=False, or while there is no endpoint."""
    user_id = stub.create_user(notify=False)["id"]
    stub.update_user(user_id, first_name="Ann", notify=False)
    stub.delete_user(user_id, notify=False)
    stub.webhook_url = None
    stub.create_user()
    assert stub.wait_for_deliveries(30)
    assert stub.deliveries == []
    assert endpoint.received == []


def test_a_delivery_verifies_with_svix(stub: StubClerk, endpoint: Endpoint) -> None:
    """The endpoint gets the body that was signed, byte for byte, in UTF-8."""
    stub.create_user(first_name="Žofie")
    assert stub.wait_for_deliveries(30)
    headers, body = endpoint.received[0]
    Webhook(stub.webhook_signing_secret).verify(body, headers)
    assert "Žofie".encode() in body
    assert headers["Content-Type"] == "application/json"
    with pytest.raises(WebhookVerificationError):
        Webhook(stub.webhook_signing_secret).verify(body + b" ", headers)


def test_a_failed_attempt_is_retried_under_the_same_id(
    stub: StubClerk, endpoint: Endpoint
) -> None:
    """A redirect counts as a failure too; no retry comes after a success."""
    endpoint.statuses = [500, 302, 204]
    stub.create_user()
    assert stub.wait_for_deliveries(30)
    (delivery,) = stub.deliveries
    assert [attempt.status for attempt in delivery.attempts] == [500, 302, 204]
    assert [attempt.succeeded for attempt in delivery.attempts] == [False, False, True]
    assert delivery.delivered
    assert {headers["svix-id"] for headers, _ in endpoint.received} == {
        delivery.message_id
    }
    assert len(endpoint.received) == 3


def test_each_attempt_is_signed_anew(stub: StubClerk, endpoint: Endpoint) -> None:
    """With the secret and the time of the attempt, while the body stays the same."""
    endpoint.statuses = [500]
    old, new = stub.webhook_signing_secret, "whsec_bmV3IHNlY3JldCBvZiB0aGUgdGVzdA=="
    endpoint.meanwhile = lambda: setattr(stub, "webhook_signing_secret", new)
    stub.create_user()
    assert stub.wait_for_deliveries(30)
    (first, body), (second, same_body) = endpoint.received
    assert int(second["svix-timestamp"]) >= int(first["svix-timestamp"])
    assert body == same_body
    Webhook(old).verify(body, first)
    Webhook(new).verify(body, second)


def test_after_eight_attempts_svix_gives_up(
    stub: StubClerk, endpoint: Endpoint
) -> None:
    """The schedule's waits, scaled, lie between the attempts."""
    endpoint.statuses = [503] * 9
    stub.sender.time_scale = 0.000_001
    stub.create_user()
    assert stub.wait_for_deliveries(30)
    (delivery,) = stub.deliveries
    assert delivery.given_up
    assert not delivery.delivered
    assert len(delivery.attempts) == len(endpoint.received) == 8


def test_the_waits_follow_svixs_schedule(
    stub: StubClerk, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, then after 5 s and 5 min, times the scale."""
    now = 1000.0
    clock = SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr("local.stub_clerk.webhooks.deliveries.time", clock)
    endpoint.statuses = [500, 500]
    stub.sender.time_scale = 0.1
    stub.create_user()
    waits: list[float] = []

    def has_failed(times: int) -> bool:
        made = len(stub.deliveries[0].attempts)
        return (made, len(stub.sender._due)) == (times, 1)

    for times in (1, 2):
        assert eventually(partial(has_failed, times))
        with stub.sender._changed:
            waits.append(stub.sender._due[0][0] - now)
            now += waits[-1]
            stub.sender._changed.notify_all()
    assert stub.wait_for_deliveries(30)
    assert waits == [pytest.approx(0.5), pytest.approx(30)]


def test_a_message_can_be_replayed(stub: StubClerk, endpoint: Endpoint) -> None:
    """As by hand in Svix's dashboard: the same id and body once more."""
    stub.create_user()
    assert stub.wait_for_deliveries(30)
    stub.replay(stub.deliveries[0])
    assert stub.wait_for_deliveries(30)
    first, again = endpoint.received
    assert first[1] == again[1]
    assert first[0]["svix-id"] == again[0]["svix-id"]
    assert len(stub.deliveries) == 1


def test_any_event_can_be_sent(stub: StubClerk, endpoint: Endpoint) -> None:
    """An old one, an unknown one, one about nobody."""
    user = stub.create_user(notify=False)
    stub.send_event(stub.event("user.updated", user, timestamp_ms=1000))
    stub.send_event(stub.event("user.deleted", "user_nobody"), message_id="msg_x")
    stub.send_event({"type": "waitlist.invented", "data": {}})
    assert stub.wait_for_deliveries(30)
    sent = {headers["svix-id"]: json.loads(body) for headers, body in endpoint.received}
    assert len(sent) == 3
    assert sent["msg_x"]["data"]["id"] == "user_nobody"
    assert 1000 in [event.get("timestamp") for event in sent.values()]


def test_an_event_about_an_id_shows_the_user_as_it_is(stub: StubClerk) -> None:
    """Handy for tests that have only the id."""
    user = stub.create_user(email="a@example.com", notify=False)
    assert stub.event("user.updated", user["id"])["data"] == user


def test_during_a_rotation_both_secrets_sign(stub: StubClerk) -> None:
    """Several secrets give one header with several signatures, and each verifies."""
    old, new = stub.webhook_signing_secret, "whsec_bmV3IHNlY3JldCBvZiB0aGUgdGVzdA=="
    stub.webhook_signing_secret = f"{old} {new}"
    headers = stub.sign(b"{}", message_id="msg_1")
    assert len(headers["svix-signature"].split()) == 2
    for secret in (old, new):
        Webhook(secret).verify(b"{}", headers)


def test_an_old_signature_can_be_made(stub: StubClerk) -> None:
    """Right in all but its age, which is what a verifier must refuse."""
    headers = stub.sign(b"{}", timestamp=time.time() - 301)
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(stub.webhook_signing_secret).verify(b"{}", headers)


def test_an_endpoint_that_is_down_is_a_failed_attempt(stub: StubClerk) -> None:
    """Nobody listens: there is an error instead of a status; it may come back."""
    up = stub.webhook_url
    stub.webhook_url = "http://127.0.0.1:1/"
    stub.sender.time_scale = 0.02
    stub.create_user()
    delivery = stub.deliveries[0]
    assert eventually(lambda: bool(delivery.attempts))
    assert delivery.attempts[0].status is None
    assert delivery.attempts[0].error
    stub.webhook_url = up
    assert stub.wait_for_deliveries(30)
    assert delivery.delivered


@pytest.mark.parametrize("how", ["hangs", "hangs_in_the_middle"])
def test_closing_does_not_wait_for_a_hanging_endpoint(
    endpoint: Endpoint, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor for retries that are due in five minutes."""
    # Neither the endpoint nor the sender gives up before the test does.
    monkeypatch.setattr("local.stub_clerk.webhooks.deliveries._TIMEOUT_S", 120.0)
    read, reads_a_body = HTTPResponse.read, threading.Event()

    def note(response: HTTPResponse, amount: int | None = None) -> bytes:
        reads_a_body.set()
        return read(response, amount)

    monkeypatch.setattr(HTTPResponse, "read", note)
    getattr(endpoint, how).set()
    stub = StubClerk(webhook_url=endpoint.url).start()
    stub.create_user()
    assert eventually(lambda: bool(endpoint.received))
    if how == "hangs_in_the_middle":
        assert reads_a_body.wait(60)
    closing = threading.Thread(target=stub.close, daemon=True)
    closing.start()
    closing.join(60)
    assert not closing.is_alive()
    assert eventually(
        lambda: not any("svix" in thread.name for thread in threading.enumerate())
    )
    assert not endpoint.released.is_set()
    assert isinstance(stub.deliveries[0], Delivery)


@pytest.mark.parametrize("newest_first", [False, True])
def test_what_is_held_back_is_sent_in_turn_when_released(
    stub: StubClerk, endpoint: Endpoint, *, newest_first: bool
) -> None:
    """Each message after the one before it was answered, in one of both orders; one
    that was replayed meanwhile has gone alone."""
    stub.sender.hold()
    for number in range(10):
        stub.create_user(first_name=str(number))
    assert not stub.wait_for_deliveries(timeout=0.05)
    assert endpoint.received == []
    stub.replay(stub.deliveries[4])
    changes = stub.sender.changes
    assert eventually(lambda: bool(endpoint.received))
    stub.sender.release(newest_first=newest_first)
    stub.create_user(first_name="later")
    assert stub.wait_for_deliveries(30)
    names = [json.loads(body)["data"]["first_name"] for _, body in endpoint.received]
    rest = list("012356789")
    assert names[0] == "4"
    assert [n for n in names[1:] if n in rest] == rest[:: -1 if newest_first else 1]
    assert stub.sender.changes > changes
    assert not any(delivery.held for delivery in stub.deliveries)
