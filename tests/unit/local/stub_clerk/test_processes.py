"""The stub Clerk among threads and processes: its end, and its control routes."""

import json
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import jwt
import pytest
import urllib3

from local.stub_clerk.stub import StubClerk
from tests.terminal import eventually
from tests.unit.local.stub_clerk.asking import get, post


def test_closing_hangs_up_at_once_and_leaves_no_thread() -> None:
    """Idle connections and answers that are being delayed do not hold it up."""
    before = set(threading.enumerate())
    stub = StubClerk().start()
    port = int(stub.url.rpartition(":")[2])
    stub.latency_ms = 600_000
    key = stub.secret_key
    request = f"GET /v1/users HTTP/1.1\r\nAuthorization: Bearer {key}\r\n\r\n"
    with (
        socket.create_connection(("127.0.0.1", port)) as idle,
        socket.create_connection(("127.0.0.1", port)) as waiting,
    ):
        waiting.sendall(request.encode())
        assert eventually(lambda: stub.requests == 1)
        closing = threading.Thread(target=stub.close, daemon=True)
        closing.start()
        closing.join(60)
        assert not closing.is_alive()
        idle.settimeout(60)
        assert idle.recv(1) == b""
    assert eventually(lambda: not set(threading.enumerate()) - before)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_changes_from_many_threads_are_all_there(trio: StubClerk) -> None:
    """Creations, updates and deletions at once leave a listing that adds up."""

    def change(name: str) -> None:
        for n in range(20):
            user = trio.create_user(email=f"{name}{n}@example.com")
            trio.update_user(user["id"], first_name=name)
            if n % 2:
                trio.delete_user(user["id"])

    threads = [threading.Thread(target=change, args=(f"t{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        get(trio, "/v1/users?limit=100&order_by=-updated_at")
    assert trio.count == 3 + 6 * 10
    listed = get(trio, "/v1/users?limit=100&order_by=created_at").json()
    assert [user["id"] for user in listed] == trio.ids()


def test_another_process_steers_by_control_routes(trio: StubClerk) -> None:
    """Changes behind our back, a token, settings and faults, without a key."""
    ids = trio.ids()
    deleted = post(trio, "/stub/users", action="delete", count=2)["ids"]
    assert trio.ids() == [user_id for user_id in ids if user_id not in deleted]
    (updated,) = post(trio, "/stub/users", action="update")["ids"]
    assert trio.get_user(updated)["first_name"].startswith("Renamed")
    assert post(trio, "/stub/users", action="create")["ids"] == trio.ids()[1:]
    assert post(trio, "/stub/settings", latency_ms=5)["users"] == 2
    assert trio.latency_ms == 5
    post(trio, "/stub/faults", count=2, status=500)
    assert get(trio).status == 500
    post(trio, "/stub/faults")
    assert get(trio).status == 200
    assert get(trio, "/stub/state").json()["requests"] == 2


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
    trio: StubClerk, path: str, params: dict[str, Any]
) -> None:
    """Rather than do nothing."""
    assert post(trio, f"/stub/{path}", **params)["errors"][0]["code"] == "stub_misused"
    assert trio.count == 3


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
            assert process.wait(60) == 0
            assert process.stderr
            assert process.stderr.read() == b""


def _started(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - the command is our own
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[4],
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
