"""CloudFormation's side of a custom resource: it asks, and waits to be told."""

import json
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any, Final

from local.stack.gateway import Handler

_LAMBDA_SECONDS: Final = 300


def answering(function: Callable[[Mapping[str, Any], Any], None]) -> Handler:
    """Make a handler that returns what the function tells CloudFormation.

    The answer goes to a listener on 127.0.0.1, and not to the event's ResponseURL: of a
    sample there is nobody, and of a real one CloudFormation has long stopped waiting.
    """

    def handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
        with _Listener() as listener:
            told = Thread(target=listener.handle_request, daemon=True)
            told.start()
            function({**event, "ResponseURL": listener.url}, _Context())
            told.join()
        return listener.answer

    return handler


class _Context:
    """What Lambda hands over besides the event, as far as the function looks at it."""

    def get_remaining_time_in_millis(self) -> int:
        return _LAMBDA_SECONDS * 1000


class _Listener(HTTPServer):
    """Takes one answer."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _RequestHandler)
        self.url = f"http://127.0.0.1:{self.server_port}/"
        self.answer: dict[str, Any] = {}


class _RequestHandler(BaseHTTPRequestHandler):
    server: _Listener

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.answer = json.loads(body)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """The answer is printed by who asked."""
