"""An endpoint for the stub Clerk's webhooks, which does what a test wants."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Endpoint(ThreadingHTTPServer):
    """Takes deliveries, and answers with `statuses` in turn, then with 200."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.statuses: list[int] = []
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.hangs = threading.Event()
        self.hangs_in_the_middle = threading.Event()
        self.released = threading.Event()
        self.meanwhile: Callable[[], object] = lambda: None
        """Called before each answer."""
        self.url = f"http://127.0.0.1:{self.server_address[1]}/api/webhooks/clerk"


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((dict(self.headers.items()), body))
        self.server.meanwhile()
        if self.server.hangs.is_set():
            self.server.released.wait(120)
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        self.send_response(status)
        hangs_in_the_middle = self.server.hangs_in_the_middle.is_set()
        self.send_header("Content-Length", "9" if hangs_in_the_middle else "0")
        self.end_headers()
        if hangs_in_the_middle:
            self.server.released.wait(120)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
