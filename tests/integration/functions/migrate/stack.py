"""CloudFormation, as far as a custom resource sees it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from functions.migrate import app
from tests.doors import assert_tells_nothing_private, sample

LAYER = "arn:aws:lambda:eu-central-1:123456789012:layer:ClerksyncLayer:{}"


class Context:
    """What Lambda hands over besides the event, as far as the function looks at it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return round(self._seconds * 1000)


class Stack(ThreadingHTTPServer):
    """Asks the function as CloudFormation does, and keeps what it is answered."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[dict[str, Any]] = []
        self.content_types: list[str | None] = []
        self.refusals = 0
        """How many answers from now on get a 503."""

    def ask(
        self,
        request: str,
        *,
        layer: int = 7,
        before: int | None = None,
        seconds: float = 60,
        **given: Any,
    ) -> dict[str, Any]:
        """Send a request, with a layer of that version now and before; its answer."""
        event = self.event(request, layer=layer, **given)
        if before is not None:
            old = {**event["ResourceProperties"], "Layer": LAYER.format(before)}
            event["OldResourceProperties"] = old
        told = len(self.answers)
        app.handler(event, Context(seconds))
        (answer,) = self.answers[told:]
        for name in ("StackId", "RequestId", "LogicalResourceId"):
            assert answer[name] == event[name]
        assert_tells_nothing_private(answer["Reason"])
        return answer

    def event(self, request: str, *, layer: int = 7, **given: Any) -> dict[str, Any]:
        event = sample("migration")
        event["ResponseURL"] = f"http://127.0.0.1:{self.server_address[1]}/x?signed=y"
        event["ResourceProperties"]["Layer"] = LAYER.format(layer)
        return {**event, "RequestType": request, **given}


class _Handler(BaseHTTPRequestHandler):
    server: Stack

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        refused = self.server.refusals > 0
        if refused:
            self.server.refusals -= 1
        else:
            self.server.answers.append(json.loads(body))
            self.server.content_types.append(self.headers["Content-Type"])
        self.send_response(503 if refused else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def a_stack() -> Iterator[Stack]:
    with Stack() as stack:
        thread = Thread(target=stack.serve_forever, args=(0.005,))
        thread.start()
        try:
            yield stack
        finally:
            stack.shutdown()
            thread.join()
