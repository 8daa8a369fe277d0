"""What stands for Secrets Manager: one secret, and whoever asks gets it."""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class SecretsManager(ThreadingHTTPServer):
    """Any name will do, and any signature."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.values: dict[str, str] = {}

    def environment(self, port: int) -> dict[str, str]:
        """For a function that is to read its settings here, by way of a port."""
        return {
            "AWS_LAMBDA_FUNCTION_NAME": "chaos",
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "invented",
            "AWS_SECRET_ACCESS_KEY": "invented",
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": f"http://127.0.0.1:{port}",
            "CLERKSYNC_SECRET_ID": "clerksync",
        }

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever has hung up wants to hear nothing."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: SecretsManager

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        text = json.dumps(self.server.values)
        body = json.dumps({"SecretString": text}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: it would be the secret's readers."""


@contextmanager
def secrets_manager() -> Iterator[SecretsManager]:
    with SecretsManager() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
