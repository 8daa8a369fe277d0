"""The HTTP API of the template on a laptop: requests become payload 2.0 events."""

import base64
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any, Final, Self
from urllib.parse import urlsplit

from local.loopback_server import LoopbackServer

Handler = Callable[[Mapping[str, Any], object], dict[str, Any]]
Routes = Mapping[tuple[str, str], Handler]

_MAX_BODY_BYTES: Final = 10 * 1024 * 1024  # as API Gateway
# An answer with this header is for no other origin, be it on this machine.
_OWN_ORIGIN_ONLY: Final = "cross-origin-resource-policy"


class Gateway:
    """Serves routes on 127.0.0.1 from a daemon thread; a context manager.

    It has its port from the beginning; routes may be set anew until it is entered.
    Each handler gets one request at a time, as each execution environment does.
    """

    def __init__(self, routes: Routes, *, port: int = 0) -> None:
        self.routes = routes
        self._locks: dict[Handler, threading.Lock] = {}
        gateway = self

        class RequestHandler(_RequestHandler):
            def answer(self, event: dict[str, Any]) -> dict[str, Any]:
                http = event["requestContext"]["http"]
                handler = gateway.routes.get((http["method"], event["rawPath"]))
                if handler is None:
                    return {"statusCode": 404, "body": '{"message":"Not Found"}'}
                with gateway._locks[handler]:
                    return handler(event, None)

        self._server = LoopbackServer(port, RequestHandler, name="gateway")
        self.url = f"http://127.0.0.1:{self._server.port}"

    def __enter__(self) -> Self:
        self._locks = {handler: threading.Lock() for handler in self.routes.values()}
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()


class _RequestHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self, event: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    def do_POST(self) -> None:
        body = self._read()
        if body is None:
            self.close_connection = True
            self._send({"statusCode": 413, "body": '{"message":"Too Large"}'})
            return
        self._send(self.answer(self._event(body)))

    do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815 - http.server's names

    def do_GET(self) -> None:
        self._send(self.answer(self._event(b"")))

    def do_OPTIONS(self) -> None:
        """A browser asks before it posts from the application's own origin."""
        self._send({"statusCode": 204})

    def _read(self) -> bytes | None:
        """The body, also one that a tunnel sends in chunks; None if it is too large."""
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            length = int(self.headers.get("content-length") or 0)
            return None if length > _MAX_BODY_BYTES else self.rfile.read(length)
        body = b""
        while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
            if len(body) + size > _MAX_BODY_BYTES:
                return None
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, *_: object) -> None:
        """The handlers log for themselves."""

    def _event(self, body: bytes) -> dict[str, Any]:
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        event: dict[str, Any] = {
            "version": "2.0",
            "routeKey": f"{self.command} {url.path}",
            "rawPath": url.path,
            "rawQueryString": url.query,
            "headers": headers,
            "requestContext": {
                "http": {
                    "method": self.command,
                    "path": url.path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": "127.0.0.1",
                    "userAgent": headers.get("user-agent", ""),
                },
                "requestId": str(uuid.uuid4()),
                "timeEpoch": round(time.time() * 1000),
            },
            "isBase64Encoded": False,
        }
        cookies = [c.strip() for c in headers.pop("cookie", "").split(";") if c.strip()]
        if cookies:
            event["cookies"] = cookies
        try:
            event["body"] = body.decode()
        except UnicodeDecodeError:
            event |= {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
        return event

    def _send(self, payload: Mapping[str, Any]) -> None:
        body = str(payload.get("body", "")).encode()
        headers = payload.get("headers", {})
        self.send_response(payload["statusCode"])
        for name, value in headers.items():
            self.send_header(name, value)
        origin = self.headers.get("origin", "")
        # A front end in development; not any page that a browser has open.
        if _OWN_ORIGIN_ONLY not in headers and _is_loopback(origin):
            self.send_header("access-control-allow-origin", origin)
            self.send_header("access-control-allow-credentials", "true")
            self.send_header(
                "access-control-allow-headers", "authorization, content-type"
            )
            self.send_header("access-control-allow-methods", "GET, POST, OPTIONS")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _is_loopback(origin: str) -> bool:
    try:
        return urlsplit(origin).hostname in {"localhost", "127.0.0.1"}
    except ValueError:
        return False
