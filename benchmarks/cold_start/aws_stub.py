"""What the functions ask of AWS: one secret, and an ear for a deployment's answers."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

SECRET: Final = "clerksync"  # noqa: S105 - its name


@dataclass(frozen=True, slots=True)
class AwsStub:
    url: str
    """For AWS_ENDPOINT_URL_SECRETS_MANAGER, and for a custom resource's ResponseURL."""
    told: list[dict[str, Any]] = field(default_factory=list)
    """What custom resources answered."""


@contextmanager
def aws_stub(values: Mapping[str, str]) -> Iterator[AwsStub]:
    """Serves while the block runs, and gives the secret to anybody who signs."""

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = self._sent()
            known = (
                self.headers["x-amz-target"] == "secretsmanager.GetSecretValue"
                and "Signature=" in self.headers["authorization"]
                and asked["SecretId"] == SECRET
            )
            found = {"Name": SECRET, "SecretString": json.dumps(values)}
            self._answer(200 if known else 400, found if known else {})

        def do_PUT(self) -> None:
            stub.told.append(self._sent())
            self._answer(200, {})

        def _sent(self) -> dict[str, Any]:
            length = int(self.headers["content-length"])
            sent: dict[str, Any] = json.loads(self.rfile.read(length))
            return sent

        def _answer(self, status: int, answer: Mapping[str, str]) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/x-amz-json-1.1")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        stub = AwsStub(f"http://127.0.0.1:{server.server_port}")
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield stub
        finally:
            server.shutdown()
