"""The HTTP side: sockets, keep-alive, and the ways in which an answer can break."""

import logging
import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

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


class Server(socketserver.ThreadingTCPServer):
    """Serves `answer` on loopback, one thread for each connection.

    Not `http.server.HTTPServer`: that one asks the resolver for the host's name.
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, answer: Callable[[Call], Answer]) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.answer = answer
        self.closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._changed = threading.Condition()
        self._thread = threading.Thread(
            target=self._serve, name="stub-clerk", daemon=True
        )

    @property
    def port(self) -> int:
        """Return the port, also where 0 left the choice to the system."""
        return int(self.server_address[1])

    def start(self) -> None:
        """Begin to accept connections, in a daemon thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening, hang up on everybody and wait for their threads."""
        self.closing.set()
        # A connection wakes the thread that waits for one; polling would be slower.
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            pass
        self._thread.join()
        self.server_close()
        with self._changed:
            for connection in self._open:
                with suppress(OSError):  # the client may have hung up meanwhile
                    connection.shutdown(socket.SHUT_RDWR)
            self._changed.wait_for(lambda: not self._open, timeout=2)

    def _serve(self) -> None:
        while not self.closing.is_set():
            self.handle_request()

    def verify_request(self, *_: object) -> bool:
        """Turn away whoever comes too late."""
        return not self.closing.is_set()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Keep the connection in mind, so that `close` can end it."""
        with self._changed:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget a connection that has ended."""
        super().shutdown_request(request)
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print a traceback, except where a client merely went away."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


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
        self.send_header("Date", self.date_time_string())
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(promised)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(half if answer.cut else answer.body)
        if answer.cut == "body":
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing: the stub keeps its own list of requests."""
