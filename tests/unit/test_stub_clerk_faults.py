"""The stub Clerk's faults, session tokens, log of requests, and life and death."""

import base64
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import urllib3
from urllib3.exceptions import ProtocolError

from local.stub_clerk import Fault, StubClerk, StubRequest
from tests.openapi import assert_answer, needs_specifications


@pytest.fixture
def stub() -> Iterator[StubClerk]:
    """A stub with three users."""
    with StubClerk(users=3) as stub:
        yield stub


@pytest.fixture(scope="module")
def signer() -> Iterator[StubClerk]:
    """A stub for all tests about tokens: to make an RSA key takes a while."""
    with StubClerk(users=1) as stub:
        yield stub


def get(stub: StubClerk, path: str = "/v1/users") -> urllib3.BaseHTTPResponse:
    """Ask once, without retries, over a connection of its own."""
    headers = {"Authorization": f"Bearer {stub.secret_key}"}
    with urllib3.PoolManager(headers=headers, retries=False) as http:
        return http.request("GET", stub.url + path)


def post(stub: StubClerk, path: str, **params: Any) -> Any:
    """Use a control route, which needs no key."""
    with urllib3.PoolManager(retries=False) as http:
        return http.request("POST", stub.url + path, json=params).json()


@needs_specifications
def test_planned_failures_hit_the_next_requests(stub: StubClerk) -> None:
    """So many requests on that path, and no other, get the status and Retry-After."""
    stub.fail_next(2, retry_after=3, path="/v1/users")
    stub.fail_next(status=500, retry_after=None, path="/v1/instance")
    answers = [get(stub) for _ in range(3)]
    assert [answer.status for answer in answers] == [429, 429, 200]
    assert answers[0].headers["Retry-After"] == "3"
    assert_answer("get", "/users", 429, answers[0].json())
    failed = get(stub, "/v1/instance")
    assert failed.status == 500
    assert "Retry-After" not in failed.headers


def test_a_connection_can_break_before_the_answer(stub: StubClerk) -> None:
    """The client gets nothing at all, and the request is not carried out."""
    stub.fail_next(fault=Fault(breaks="connection"))
    with pytest.raises(ProtocolError):
        get(stub)
    assert get(stub).status == 200


def test_a_connection_can_break_within_the_answer(stub: StubClerk) -> None:
    """Half of the promised bytes come, then the end."""
    stub.fail_next(fault=Fault(breaks="body"))
    with pytest.raises(ProtocolError, match="IncompleteRead"):
        get(stub)


def test_json_can_stop_half_way_in_valid_http(stub: StubClerk) -> None:
    """A status 200 whose length is right and whose JSON is not."""
    stub.fail_next(fault=Fault(breaks="json"))
    answer = get(stub)
    assert answer.status == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_interfere_decides_about_each_request(stub: StubClerk) -> None:
    """It sees method, path, query and number, and may change users meanwhile."""
    seen: list[StubRequest] = []

    def interfere(request: StubRequest) -> Fault | None:
        seen.append(request)
        stub.delete_user(stub.ids()[0])
        return Fault(status=503, code="down") if request.number == 1 else None

    stub.interfere = interfere
    failed = get(stub, "/v1/users?limit=5&user_id=a&user_id=b")
    assert (failed.status, failed.json()["errors"][0]["code"]) == (503, "down")
    assert seen == [
        ("GET", "/v1/users", {"limit": ["5"], "user_id": ["a", "b"]}, 1),
    ]
    assert len(get(stub).json()) == 1


@pytest.mark.parametrize("path", ["/v1/users", "/v1/instance"])
def test_a_fault_can_be_slow(stub: StubClerk, path: str) -> None:
    """A delay alone leaves the answer as it is."""
    stub.fail_next(fault=Fault(delay_ms=60))
    started = time.monotonic()
    assert get(stub, path).status == 200
    assert time.monotonic() - started >= 0.06


def test_latency_is_for_pages_of_users_only(stub: StubClerk) -> None:
    """The listing waits, a single user does not."""
    stub.latency_ms = 200
    started = time.monotonic()
    get(stub, f"/v1/users/{stub.ids()[0]}")
    between = time.monotonic()
    get(stub)
    assert between - started < 0.2 <= time.monotonic() - between


def test_above_the_rate_limit_it_is_a_429_until_the_window_ends(
    stub: StubClerk,
) -> None:
    """Retry-After is what is left of the window, in whole seconds."""
    stub.rate_limit, stub.rate_limit_window_s = 2, 30
    answers = [get(stub) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert 20 <= int(answers[2].headers["Retry-After"]) <= 30
    stub._faults._window_ends = 0
    assert get(stub).status == 200


def test_the_key_set_has_no_rate_limit(signer: StubClerk) -> None:
    """As at Clerk, on both of its addresses."""
    signer.rate_limit = 0
    assert get(signer, "/v1/users").status == 429
    assert get(signer, "/v1/jwks").status == 200
    assert get(signer, "/.well-known/jwks.json").status == 200
    signer.reset_faults()


def test_all_faults_can_be_taken_back(stub: StubClerk) -> None:
    """After reset_faults a request meets nothing but the API."""
    stub.rate_limit = 0
    stub.interfere = lambda _: Fault(status=500)
    stub.fail_next(5)
    stub.latency_ms = 10_000
    stub.reset_faults()
    assert get(stub).status == 200


def test_requests_are_counted_and_logged(stub: StubClerk) -> None:
    """With those that fail, until reset; control routes do not count."""
    stub.fail_next()
    get(stub, "/v1/users?limit=1")
    get(stub, "/v1/instance")
    get(stub, "/stub/state")
    assert stub.requests == 2
    assert [request.path for request in stub.request_log] == [
        "/v1/users",
        "/v1/instance",
    ]
    assert stub.request_log[0].query == {"limit": ["1"]}
    stub.reset_requests()
    assert (stub.requests, len(stub.request_log)) == (0, 0)


def test_a_connection_serves_many_requests(stub: StubClerk) -> None:
    """Keep-alive, also after an error."""
    headers = {"Authorization": f"Bearer {stub.secret_key}"}
    with urllib3.HTTPConnectionPool("127.0.0.1", int(stub.url[17:])) as pool:
        for path in ("/v1/users", "/v1/users/user_nobody", "/v1/users/count"):
            pool.request("GET", path, headers=headers, retries=False)
        assert pool.num_connections == 1


def test_a_session_token_verifies_by_pem_and_by_key_set(signer: StubClerk) -> None:
    """Its claims are those of version 2; it lives for a minute."""
    user_id = signer.ids()[0]
    token = signer.session_token(user_id)
    keys = jwt.PyJWKSet.from_dict(get(signer, "/.well-known/jwks.json").json())
    kid = jwt.get_unverified_header(token)["kid"]
    by_pem = jwt.decode(token, signer.jwt_public_key, ["RS256"], issuer=signer.issuer)
    assert by_pem == jwt.decode(token, keys[kid].key, ["RS256"])
    assert by_pem["sub"] == user_id
    assert by_pem["sid"].startswith("sess_")
    assert by_pem["exp"] - by_pem["iat"] == 60
    assert by_pem["nbf"] <= by_pem["iat"] <= time.time()
    expected = "azp exp fva iat iss jti nbf sid sts sub v"
    assert sorted(by_pem) == expected.split()
    assert (by_pem["sts"], by_pem["v"]) == ("active", 2)


def test_claims_and_headers_can_be_replaced_or_left_out(signer: StubClerk) -> None:
    """None leaves out; an id that nobody has is as good as any."""
    token = signer.session_token(
        "mch_1",
        azp=None,
        exp=None,
        sts="pending",
        headers={"typ": "at+jwt", "cat": None},
    )
    claims = jwt.decode(token, signer.jwt_public_key, ["RS256"])
    assert "azp" not in claims
    assert "exp" not in claims
    assert (claims["sub"], claims["sts"]) == ("mch_1", "pending")
    header = jwt.get_unverified_header(token)
    assert header["typ"] == "at+jwt"
    assert "cat" not in header
    expired = signer.session_token("user_1", lifetime_seconds=-1)
    with pytest.raises(jwt.ExpiredSignatureError):
        jwt.decode(expired, signer.jwt_public_key, ["RS256"])


def test_tokens_can_be_forged_in_the_known_ways(signer: StubClerk) -> None:
    """Another key, the public key as HMAC secret, no signature: all well-formed."""
    pem = signer.jwt_public_key
    with StubClerk() as other:
        key = other.session_key.private_key
        stolen = signer.session_token("user_1", key=key)
        with pytest.raises(jwt.InvalidSignatureError):
            jwt.decode(stolen, pem, ["RS256"])
        jwt.decode(stolen, other.jwt_public_key, ["RS256"])
    confused = signer.session_token("user_1", key=pem, algorithm="HS256")
    unsigned = signer.session_token("user_1", algorithm="none")
    for forged, algorithm in ((confused, "HS256"), (unsigned, "none")):
        assert jwt.get_unverified_header(forged)["alg"] == algorithm
        with pytest.raises(jwt.InvalidAlgorithmError):
            jwt.decode(forged, pem, ["RS256"])


def test_the_publishable_key_names_the_host(stub: StubClerk) -> None:
    """As Clerk's: base64 of the Frontend API's host and a dollar sign."""
    encoded = stub.publishable_key.removeprefix("pk_test_")
    assert f"http://{base64.b64decode(encoded).decode()}" == f"{stub.issuer}$"


def test_closing_hangs_up_at_once_and_leaves_no_thread() -> None:
    """Idle connections and answers that are being delayed do not hold it up."""
    before = set(threading.enumerate())
    stub = StubClerk().start()
    port = int(stub.url.rpartition(":")[2])
    stub.latency_ms = 30_000
    key = stub.secret_key
    request = f"GET /v1/users HTTP/1.1\r\nAuthorization: Bearer {key}\r\n\r\n"
    with (
        socket.create_connection(("127.0.0.1", port)) as idle,
        socket.create_connection(("127.0.0.1", port)) as waiting,
    ):
        waiting.sendall(request.encode())
        while not stub.requests:
            time.sleep(0.002)
        started = time.monotonic()
        stub.close()
        assert time.monotonic() - started < 1
        idle.settimeout(1)
        assert idle.recv(1) == b""
    for thread in set(threading.enumerate()) - before:
        thread.join(1)
    assert not set(threading.enumerate()) - before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_changes_from_many_threads_are_all_there(stub: StubClerk) -> None:
    """Creations, updates and deletions at once leave a listing that adds up."""

    def change(name: str) -> None:
        for n in range(20):
            user = stub.create_user(email=f"{name}{n}@example.com")
            stub.update_user(user["id"], first_name=name)
            if n % 2:
                stub.delete_user(user["id"])

    threads = [threading.Thread(target=change, args=(f"t{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        get(stub, "/v1/users?limit=100&order_by=-updated_at")
    assert stub.count == 3 + 6 * 10
    listed = get(stub, "/v1/users?limit=100&order_by=created_at").json()
    assert [user["id"] for user in listed] == stub.ids()


def test_another_process_steers_by_control_routes(stub: StubClerk) -> None:
    """Changes behind our back, a token, settings and faults, without a key."""
    ids = stub.ids()
    deleted = post(stub, "/stub/users", action="delete", count=2)["ids"]
    assert stub.ids() == [user_id for user_id in ids if user_id not in deleted]
    (updated,) = post(stub, "/stub/users", action="update")["ids"]
    assert stub.get_user(updated)["first_name"].startswith("Renamed")
    assert post(stub, "/stub/users", action="create")["ids"] == stub.ids()[1:]
    assert post(stub, "/stub/settings", latency_ms=5)["users"] == 2
    assert stub.latency_ms == 5
    post(stub, "/stub/faults", count=2, status=500)
    assert get(stub).status == 500
    post(stub, "/stub/faults")
    assert get(stub).status == 200
    assert get(stub, "/stub/state").json()["requests"] == 2


def test_another_process_gets_session_tokens(signer: StubClerk) -> None:
    """For a user and with claims of its choice, or for any user."""
    asked = {"user_id": "user_1", "claims": {"azp": "x"}, "lifetime_seconds": 9}
    answer = post(signer, "/stub/session_token", **asked)
    claims = jwt.decode(answer["token"], signer.jwt_public_key, ["RS256"])
    assert (claims["sub"], claims["azp"]) == ("user_1", "x")
    assert claims["exp"] - claims["iat"] == 9
    assert post(signer, "/stub/session_token")["user_id"] in signer.ids()


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("settings", {"secret_key": "x"}),
        ("users", {"action": "praise"}),
        ("users", {"action": "delete", "count": 4}),
        ("faults", {"colour": "red"}),
    ],
)
def test_a_misused_control_route_says_so(
    stub: StubClerk, path: str, params: dict[str, Any]
) -> None:
    """Rather than do nothing."""
    assert post(stub, f"/stub/{path}", **params)["errors"][0]["code"] == "stub_misused"
    assert stub.count == 3


def test_it_runs_in_a_process_of_its_own() -> None:
    """One line of JSON tells all; it ends with SIGTERM or with its standard input."""
    command = [sys.executable, "-W", "error", "-m", "local.stub_clerk", "--users", "2"]
    with (
        _started([*command, "--exit-with-stdin"]) as by_stdin,
        _started([*command, "--seed", "2"]) as by_signal,
    ):
        told = [_told_by(process) for process in (by_stdin, by_signal)]
        assert told[0]["instance_id"] != told[1]["instance_id"]
        assert by_stdin.stdin
        by_stdin.stdin.close()
        by_signal.send_signal(signal.SIGTERM)
        for process in (by_stdin, by_signal):
            assert process.wait(5) == 0
            assert process.stderr
            assert process.stderr.read() == b""


def _started(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - the command is our own
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )


def _told_by(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Read the line with which a stub begins, and use what it says."""
    assert process.stdout
    told: dict[str, Any] = json.loads(process.stdout.readline())
    headers = {"Authorization": f"Bearer {told['secret_key']}"}
    with urllib3.PoolManager(headers=headers) as http:
        count = http.request("GET", f"{told['url']}/v1/users/count").json()
    assert count["total_count"] == told["users"] == 2
    assert told["pid"] == process.pid
    return told
