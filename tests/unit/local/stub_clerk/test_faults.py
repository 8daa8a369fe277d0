"""Faults of the stub Clerk: failures, delays, rate limits; its log of requests."""

import json
from types import SimpleNamespace

import pytest
import urllib3
from urllib3.exceptions import ProtocolError

from local.stub_clerk.faults import Fault, StubRequest
from local.stub_clerk.stub import StubClerk
from tests.openapi import assert_answer, needs_specifications
from tests.unit.local.stub_clerk.asking import get


@needs_specifications
def test_planned_failures_hit_the_next_requests(trio: StubClerk) -> None:
    """So many requests on that path, and no other, get the status and Retry-After."""
    trio.fail_next(2, retry_after=3, path="/v1/users")
    trio.fail_next(status=500, retry_after=None, path="/v1/instance")
    answers = [get(trio) for _ in range(3)]
    assert [answer.status for answer in answers] == [429, 429, 200]
    assert answers[0].headers["Retry-After"] == "3"
    assert_answer("get", "/users", 429, answers[0].json())
    failed = get(trio, "/v1/instance")
    assert failed.status == 500
    assert "Retry-After" not in failed.headers


def test_a_connection_can_break_before_the_answer(trio: StubClerk) -> None:
    """The client gets nothing at all, and the request is not carried out."""
    trio.fail_next(fault=Fault(breaks="connection"))
    with pytest.raises(ProtocolError):
        get(trio)
    assert get(trio).status == 200


def test_a_connection_can_break_within_the_answer(trio: StubClerk) -> None:
    """Half of the promised bytes come, then the end."""
    trio.fail_next(fault=Fault(breaks="body"))
    with pytest.raises(ProtocolError, match="IncompleteRead"):
        get(trio)


def test_json_can_stop_half_way_in_valid_http(trio: StubClerk) -> None:
    """A status 200 whose length is right and whose JSON is not."""
    trio.fail_next(fault=Fault(breaks="json"))
    answer = get(trio)
    assert answer.status == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_interfere_decides_about_each_request(trio: StubClerk) -> None:
    """It sees method, path, query and number, and may change users meanwhile."""
    seen: list[StubRequest] = []

    def interfere(request: StubRequest) -> Fault | None:
        seen.append(request)
        trio.delete_user(trio.ids()[0])
        return Fault(status=503, code="down") if request.number == 1 else None

    trio.interfere = interfere
    failed = get(trio, "/v1/users?limit=5&user_id=a&user_id=b")
    assert (failed.status, failed.json()["errors"][0]["code"]) == (503, "down")
    assert seen == [
        ("GET", "/v1/users", {"limit": ["5"], "user_id": ["a", "b"]}, 1),
    ]
    assert len(get(trio).json()) == 1


def noted_waits(stub: StubClerk, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """For how many seconds the stub would wait from now on; it does not."""
    waits: list[float] = []
    assert stub._server
    monkeypatch.setattr(stub._server.closing, "wait", waits.append)
    return waits


@pytest.mark.parametrize("path", ["/v1/users", "/v1/instance"])
def test_a_fault_can_be_slow(
    trio: StubClerk, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A delay alone leaves the answer as it is."""
    waits = noted_waits(trio, monkeypatch)
    trio.fail_next(fault=Fault(delay_ms=60))
    assert get(trio, path).status == 200
    assert waits == [0.06]


def test_latency_is_for_pages_of_users_only(
    trio: StubClerk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listing waits, a single user does not."""
    waits = noted_waits(trio, monkeypatch)
    trio.latency_ms = 200
    get(trio, f"/v1/users/{trio.ids()[0]}")
    assert waits == []
    get(trio)
    assert waits == [0.2]


def test_above_the_rate_limit_it_is_a_429_until_the_window_ends(
    trio: StubClerk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retry-After is what is left of the window, in whole seconds."""
    now = 1000.0
    clock = SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr("local.stub_clerk.faults.time", clock)
    trio.rate_limit, trio.rate_limit_window_s = 2, 30
    assert [get(trio).status for _ in range(2)] == [200, 200]
    now += 9.5
    refused = get(trio)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "21")
    now += 20.5
    assert get(trio).status == 200


def test_the_key_set_has_no_rate_limit(signer: StubClerk) -> None:
    """As at Clerk, on both of its addresses."""
    signer.rate_limit = 0
    assert get(signer, "/v1/users").status == 429
    assert get(signer, "/v1/jwks").status == 200
    assert get(signer, "/.well-known/jwks.json").status == 200
    signer.reset_faults()


def test_all_faults_can_be_taken_back(trio: StubClerk) -> None:
    """After reset_faults a request meets nothing but the API."""
    trio.rate_limit = 0
    trio.interfere = lambda _: Fault(status=500)
    trio.fail_next(5)
    trio.latency_ms = 10_000
    trio.reset_faults()
    assert get(trio).status == 200


def test_requests_are_counted_and_logged(trio: StubClerk) -> None:
    """With those that fail, until reset; control routes do not count."""
    trio.fail_next()
    get(trio, "/v1/users?limit=1")
    get(trio, "/v1/instance")
    get(trio, "/stub/state")
    assert trio.requests == 2
    assert [request.path for request in trio.request_log] == [
        "/v1/users",
        "/v1/instance",
    ]
    assert trio.request_log[0].query == {"limit": ["1"]}
    trio.reset_requests()
    assert (trio.requests, len(trio.request_log)) == (0, 0)


def test_a_connection_serves_many_requests(trio: StubClerk) -> None:
    """Keep-alive, also after an error."""
    headers = {"Authorization": f"Bearer {trio.secret_key}"}
    with urllib3.HTTPConnectionPool("127.0.0.1", int(trio.url[17:])) as pool:
        for path in ("/v1/users", "/v1/users/user_nobody", "/v1/users/count"):
            pool.request("GET", path, headers=headers, retries=False)
        assert pool.num_connections == 1
