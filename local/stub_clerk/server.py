"""The HTTP side, and the ways in which an answer can break."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from local.loopback_server import LoopbackServer
from local.stub_clerk.errors import ClerkError

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Call:
    """What a client asked. Header names are in lower case."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What it gets. `cut` says where the answer breaks off, if it does."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: Literal["connection", "body", "json"] | None = None


class Server(LoopbackServer):
    """Serves `answer`. Its responses are dated so many seconds ahead."""

    def __init__(
        self,
        port: int,
        answer: Callable[[Call], Answer],
        clock_ahead_s: Callable[[], float],
    ) -> None:
        super().__init__(port, _Handler, name="stub-clerk")
        self.answer = answer
        self.clock_ahead_s = clock_ahead_s


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave together

    def do(self) -> None:
        """Answer one request of any method."""
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        call = Call(
            method=self.command,
            path=url.path,
            query=parse_qs(url.query, keep_blank_values=True),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(length) if length else b"",
        )
        try:
            answer = self.server.answer(call)
        except Exception:
            _logger.exception("The stub failed at %s %s", call.method, call.path)
            error = ClerkError(500, "internal_clerk_error", "The stub failed; see log.")
            answer = Answer(status=500, body=error.body())
        self._send(answer)

    do_GET = do_POST = do_PATCH = do_DELETE = do  # noqa: N815 - http.server's names

    def _send(self, answer: Answer) -> None:
        if answer.cut == "connection":
            self.close_connection = True
            return
        half = answer.body[: len(answer.body) // 2]
        promised = half if answer.cut == "json" else answer.body
        self.send_response_only(answer.status)
        headers = {
            "Date": self.date_time_string(time.time() + self.server.clock_ahead_s()),
            "Content-Type": "application/json",
            "Content-Length": str(len(promised)),
        }
        for name, value in (headers | dict(answer.headers)).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(half if answer.cut else answer.body)
        if answer.cut == "body":
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing: the stub keeps its own list of requests."""
