"""Servers of our own on loopback, which end when they are told to."""

import socket
import socketserver
import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any


class LoopbackServer(socketserver.ThreadingTCPServer):
    """Serves on 127.0.0.1, one daemon thread for each connection.

    Not `http.server.HTTPServer`: that one asks the resolver for the host's name.
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self, port: int, handler: type[BaseHTTPRequestHandler], *, name: str
    ) -> None:
        super().__init__(("127.0.0.1", port), handler)
        self.closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)

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
