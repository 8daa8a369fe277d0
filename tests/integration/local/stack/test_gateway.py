"""The gateway of the laptop against what API Gateway does with the same requests."""

import base64
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import urllib3

from local.stack.functions import routes
from local.stack.gateway import Gateway
from tests.terminal import eventually

SAMPLE = Path(__file__).parents[4] / "events" / "user_created.json"
ORIGIN = "http://localhost:5173"


class Function:
    """Keeps the events it is given and answers as a function does."""

    def __init__(self) -> None:
        self.events: list[Mapping[str, Any]] = []
        self.at_once = 0
        self.most_at_once = 0
        self.may_answer = threading.Event()
        self.may_answer.set()

    def __call__(self, event: Mapping[str, Any], _context: object) -> dict[str, Any]:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.events.append(event)
        self.may_answer.wait(60)
        self.at_once -= 1
        return {
            "statusCode": 201,
            "headers": {"content-type": "application/json", "retry-after": "7"},
            "body": '{"name": "Zoë"}',
        }


@pytest.fixture
def function() -> Function:
    return Function()


@pytest.fixture
def other() -> Function:
    return Function()


@pytest.fixture
def url(function: Function, other: Function) -> Iterator[str]:
    table = {("POST", "/posts"): function, ("GET", "/own"): function}
    with Gateway(table | {("POST", "/other"): other}) as gateway:
        yield gateway.url


def request(
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> urllib3.BaseHTTPResponse:
    with urllib3.PoolManager(retries=False, timeout=60) as pool:
        return pool.request(method, url, body=body, headers=headers)


def test_a_request_becomes_an_event_in_payload_format_2(
    url: str, function: Function
) -> None:
    """With lower-case header names, cookies apart, and the body as text."""
    headers = {"X-Custom": "Ab", "Cookie": "__session=a=b; theme=dark"}
    request("POST", f"{url}/posts?a=1&b=2", body="Zoë".encode(), headers=headers)
    (event,) = function.events
    assert event["version"] == "2.0"
    assert event["routeKey"] == "POST /posts"
    assert event["rawPath"] == "/posts"
    assert event["rawQueryString"] == "a=1&b=2"
    assert event["headers"]["x-custom"] == "Ab"
    assert event["headers"]["content-length"] == "4"
    assert "cookie" not in event["headers"]
    assert event["cookies"] == ["__session=a=b", "theme=dark"]
    assert event["requestContext"]["http"]["method"] == "POST"
    assert event["requestContext"]["http"]["path"] == "/posts"
    assert (event["body"], event["isBase64Encoded"]) == ("Zoë", False)


def test_an_event_has_no_key_that_a_real_one_has_not(
    url: str, function: Function
) -> None:
    """A handler that works here finds the same things in Lambda."""
    request("POST", f"{url}/posts", body=b"{}")
    (event,) = function.events
    real = json.loads(SAMPLE.read_text())
    assert event.keys() <= real.keys()
    assert event["requestContext"].keys() <= real["requestContext"].keys()
    assert event["requestContext"]["http"] == (
        real["requestContext"]["http"]
        | {"path": "/posts", "sourceIp": "127.0.0.1"}
        | {"userAgent": event["headers"]["user-agent"]}
    )


def test_a_body_that_is_no_text_comes_in_base64(url: str, function: Function) -> None:
    """As API Gateway hands over what is not UTF-8."""
    body = b"\xff\xfe\x00"
    request("POST", f"{url}/posts", body=body)
    (event,) = function.events
    assert event["isBase64Encoded"] is True
    assert base64.b64decode(event["body"]) == body


@pytest.mark.usefixtures("other")
def test_the_answer_of_the_function_is_the_answer(url: str) -> None:
    """Status, headers and body, whose length is counted in bytes."""
    answer = request("GET", f"{url}/own")
    assert answer.status == 201
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"name": "Zoë"}
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/nowhere"),
        ("GET", "/posts"),
        ("POST", "/own"),
        ("POST", "/posts/"),
        ("PUT", "/posts"),
        ("PATCH", "/posts"),
        ("DELETE", "/own"),
    ],
)
def test_what_is_no_route_is_not_found(
    url: str, function: Function, method: str, path: str
) -> None:
    """Another path, another method, a slash too many: no function is asked."""
    answer = request(method, url + path, body=b"{}" if method != "GET" else None)
    assert (answer.status, answer.json()) == (404, {"message": "Not Found"})
    assert function.events == []


def test_a_browser_of_another_origin_may_ask_and_post(
    url: str, function: Function
) -> None:
    """The preflight is answered without the function; the answer names the origin."""
    preflight = request("OPTIONS", f"{url}/posts", headers={"Origin": ORIGIN})
    assert preflight.status == 204
    assert function.events == []
    answer = request("POST", f"{url}/posts", headers={"Origin": ORIGIN})
    assert answer.status == 201
    for headers in (preflight.headers, answer.headers):
        assert headers["access-control-allow-origin"] == ORIGIN
        assert headers["access-control-allow-credentials"] == "true"
        assert "authorization" in headers["access-control-allow-headers"]
        assert "POST" in headers["access-control-allow-methods"]


def test_a_body_beyond_10_mb_is_refused_unread(url: str, function: Function) -> None:
    """As API Gateway does; the connection ends, for the body is still on its way."""
    address = urllib3.util.parse_url(url)
    with socket.create_connection((address.host, address.port), 60) as client:
        length = 10 * 1024 * 1024 + 1
        head = f"POST /posts HTTP/1.1\r\nHost: here\r\nContent-Length: {length}\r\n\r\n"
        client.sendall(head.encode())
        answer = b"".join(iter(lambda: client.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert function.events == []


def test_one_connection_serves_many_requests(url: str, function: Function) -> None:
    """A body is read to its end: what follows on the connection is the next request."""
    with urllib3.PoolManager(maxsize=1, retries=False) as pool:
        for path in ("/posts", "/nowhere", "/posts"):
            pool.request("POST", url + path, body=b"x" * 100_000)
        connections = pool.connection_from_url(url).num_connections
    assert connections == 1
    assert [len(event["body"]) for event in function.events] == [100_000, 100_000]


def test_a_function_gets_one_request_at_a_time(
    url: str, function: Function, other: Function
) -> None:
    """As an execution environment does; another function need not wait."""
    function.may_answer.clear()
    with ThreadPoolExecutor() as callers:
        waiting = [callers.submit(request, "POST", f"{url}/posts") for _ in range(4)]
        assert request("POST", f"{url}/other").status == 201
        function.may_answer.set()
        assert [caller.result().status for caller in waiting] == [201] * 4
    assert (function.most_at_once, len(function.events)) == (1, 4)
    assert len(other.events) == 1


def test_a_port_that_is_taken_is_an_error() -> None:
    """Not shared in silence with whoever listens there."""
    with Gateway({}) as gateway:
        port = urllib3.util.parse_url(gateway.url).port
        assert port
        with pytest.raises(OSError, match="in use"):
            Gateway({}, port=port)


def test_the_routes_are_those_of_the_contract() -> None:
    """Both spellings of self-sync lead to the same function."""
    table = routes()
    assert set(table) == {
        ("POST", "/api/webhooks/clerk"),
        ("POST", "/api/users/sync"),
        ("POST", "/api/user/sync"),
        ("GET", "/api/users/me"),
    }
    assert table["POST", "/api/user/sync"] is table["POST", "/api/users/sync"]


def test_a_page_of_a_stranger_gets_no_leave_to_read(url: str) -> None:
    """With real settings behind it, any page in the browser could ask."""
    headers = {"Origin": "https://stranger.example"}
    answer = request("POST", f"{url}/posts", headers=headers)
    assert "access-control-allow-origin" not in answer.headers


def test_an_answer_for_its_own_origin_is_for_no_other(function: Function) -> None:
    """Not even for a front end on this machine."""

    def own(event: Mapping[str, Any], context: object) -> dict[str, Any]:
        answer = function(event, context)
        headers = {"cross-origin-resource-policy": "same-origin"}
        return answer | {"headers": headers}

    with Gateway({("GET", "/own"): own}) as gateway:
        answer = request("GET", f"{gateway.url}/own", headers={"Origin": ORIGIN})
    assert answer.status == 201
    assert "access-control-allow-origin" not in answer.headers


def test_it_hangs_up_on_whoever_is_connected_when_it_ends(function: Function) -> None:
    """A browser keeps connections open; nobody is answered on them afterwards."""
    gateway = Gateway({})
    gateway.routes = {("GET", "/own"): function}
    with urllib3.PoolManager(retries=False, timeout=60) as browser:
        with gateway:
            assert browser.request("GET", f"{gateway.url}/own").status == 201
        with pytest.raises(urllib3.exceptions.HTTPError):
            browser.request("GET", f"{gateway.url}/own")
    assert len(function.events) == 1


def test_a_browser_that_goes_away_costs_no_traceback(
    url: str, function: Function, capfd: pytest.CaptureFixture[str]
) -> None:
    """The answer has nowhere to go, and the next request is answered."""
    function.may_answer.clear()
    address = urllib3.util.parse_url(url)
    with socket.create_connection((address.host, address.port), 60) as client:
        # Closed with a reset: the server cannot write.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1] + 7 * [0]))
        client.sendall(b"GET /own HTTP/1.1\r\nHost: here\r\n\r\n")
        assert eventually(lambda: len(function.events) == 1)
    function.may_answer.set()
    assert request("GET", f"{url}/own").status == 201
    assert capfd.readouterr().err == ""
