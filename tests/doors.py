"""Requests as API Gateway hands them to a function, and what comes back."""

import base64
import hashlib
import hmac
import json
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest

from clerksync.observability import logger
from local.stub_clerk.stub import StubClerk
from tests.tables import footprint

ALL_TABLES = ("users", "rate_limits", "sync_state", "sync_runs", "sync_run_listed")

_EVENTS = Path(__file__).parents[1] / "events"

# Only root can listen on port 1, and the system gives it to nobody.
NOBODY_LISTENS = "http://127.0.0.1:1"
# The password is looked for in logs and answers.
UNREACHABLE = "postgresql://somebody:correct-horse@127.0.0.1:1/nowhere"

# What invented users, secrets and tokens have in common: none of it may be logged.
# Hints may say how a secret begins; every JWT begins with eyJ.
_PRIVATE = re.compile(
    r"example\.com|Noor|Castell|correct-horse|(whsec|[ps]k_(test|live))_\w{2}|eyJ"
    r"|BEGIN PUBLIC KEY"
)
_ID = re.compile(r"\buser_[A-Za-z0-9]{27}\b")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: Any

    @property
    def error(self) -> str:
        """The message of a refusal, which is all that a refusal says."""
        assert list(self.body) == ["error"], self.body
        message = self.body["error"]
        assert isinstance(message, str)
        assert message
        assert_tells_nothing_private(message)
        return message


def ask(app: ModuleType, event: Mapping[str, Any]) -> Answer:
    """Hand an event to a function and read the answer as API Gateway does."""
    payload = app.handler(event, None)
    assert payload["headers"]["content-type"] == "application/json"
    assert payload["headers"]["cache-control"] == "no-store"
    assert all(isinstance(value, str) for value in payload["headers"].values())
    body = json.loads(payload["body"])
    return Answer(payload["statusCode"], payload["headers"], body)


def sample(name: str) -> dict[str, Any]:
    """One of the sample events, as `sam local invoke` takes it."""
    event: dict[str, Any] = json.loads((_EVENTS / f"{name}.json").read_text("utf-8"))
    return event


def api_request(
    method: str,
    path: str,
    *,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    cookies: Sequence[str] = (),
    in_base64: bool = False,
) -> dict[str, Any]:
    """A sample event with another route, body and headers.

    Cookies stand apart from headers; a body that is no UTF-8 comes in base64.
    """
    event = sample("self_sync")
    del event["headers"]["authorization"]
    event["headers"] |= dict(headers or {})
    event |= {"rawPath": path, "routeKey": f"{method} {path}"}
    event["requestContext"]["routeKey"] = event["routeKey"]
    event["requestContext"]["http"] |= {"method": method, "path": path}
    if cookies:
        event["cookies"] = list(cookies)
    try:
        text = None if in_base64 else body.decode()
    except UnicodeDecodeError:
        text = None
    if text is None:
        event |= {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
    elif text:
        event["body"] = text
    return event


def sign_by_hand(
    secret: str, body: bytes, *, timestamp: str, message_id: str = "msg_by_hand"
) -> dict[str, str]:
    """The svix headers for bytes and timestamps that no sender would sign."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(key, content, hashlib.sha256).digest()
    return {
        "svix-id": message_id,
        "svix-timestamp": timestamp,
        "svix-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def forget_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away whatever shell and laptop have set: a test sets what it means."""
    for name in list(os.environ):
        if name.startswith(("CLERK", "AWS_", "POWERTOOLS_", "DATABASE_URL")):
            monkeypatch.delenv(name)


def ask_this_clerk(monkeypatch: pytest.MonkeyPatch, stub: StubClerk) -> None:
    """Let the settings name it, and its key."""
    monkeypatch.setenv("CLERK_API_URL", stub.url)
    monkeypatch.setenv("CLERK_SECRET_KEY", stub.secret_key)


@contextmanager
def untouched(connection: psycopg.Connection) -> Iterator[None]:
    """Asserts that meanwhile no row of any table is written or locked."""
    before = footprint(connection, *ALL_TABLES)
    yield
    assert footprint(connection, *ALL_TABLES) == before


def kill_connections(connection: psycopg.Connection) -> None:
    """Let Postgres hang up on the functions, which may be asleep."""
    killed = connection.execute(
        "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity"
        " WHERE application_name = 'clerksync' AND datname = current_database()"
    ).fetchall()
    assert (True,) in killed


@contextmanager
def log_on_stdout() -> Iterator[None]:
    """Send the log where capsys reads it: the logger keeps the stdout of its import."""
    handler = logger.registered_handler
    assert isinstance(handler, logging.StreamHandler)
    before = handler.stream
    handler.stream = _Stdout()
    yield
    handler.stream = before


class _Stdout:
    """What is standard output at the time of writing: pytest changes it in a test."""

    def write(self, text: str) -> int:
        return sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()


def assert_tells_nothing_private(output: str, *words: str) -> None:
    """Logs, metrics and refusals carry ids and counts only."""
    # By chance, an id can have any of the words in it.
    assert not _PRIVATE.search(_ID.sub("", output)), output
    assert not [word for word in words if word in output], output


def log_lines(output: str, message: str) -> list[dict[str, Any]]:
    """The lines of the log with that message."""
    lines = [json.loads(line) for line in output.splitlines()]
    return [line for line in lines if line.get("message") == message]


class Listener(ThreadingHTTPServer):
    """A host of somebody else: gives one answer, and keeps what it was told."""

    daemon_threads = True

    def __init__(self, body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.body = body
        self.heard: list[tuple[str, dict[str, str]]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever merely went away is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Listener

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", "0")))
        self.do_GET()

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.heard.append((self.path, headers))
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def listening(body: bytes) -> Iterator[Listener]:
    with Listener(body) as listener:
        thread = threading.Thread(target=listener.serve_forever, args=(0.005,))
        thread.start()
        try:
            yield listener
        finally:
            listener.shutdown()
            thread.join()


def metrics_in(capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    """All metrics written since the last look, by name, summed up."""
    lines = [json.loads(x) for x in capsys.readouterr().out.splitlines() if x]
    totals: dict[str, float] = {}
    for line in lines:
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", ()):
            for metric in directive["Metrics"]:
                name = metric["Name"]
                totals[name] = totals.get(name, 0) + sum(line[name])
    return totals
