"""Servers on loopback that speak just enough of Postgres's protocol to refuse."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_LOGIN = 3 << 16
_READY = b"Z" + (5).to_bytes(4) + b"I"


def _message(kind: bytes, *fields: str, end: bytes = b"") -> bytes:
    body = b"".join(field.encode() + b"\0" for field in fields) + end
    return kind + (len(body) + 4).to_bytes(4) + body


def _error(message: str, sqlstate: str, severity: str) -> bytes:
    fields = (f"S{severity}", f"V{severity}", f"C{sqlstate}", f"M{message}")
    return _message(b"E", *fields, end=b"\0")


def _log_in(client: socket.socket) -> None:
    """Read until the login, and speak no TLS before."""
    while heard := client.recv(4096):
        if int.from_bytes(heard[4:8]) == _LOGIN:
            return
        client.sendall(b"N")


@contextmanager
def serving(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Let `serve` talk to each client in turn; yields the port."""

    def accept() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:  # closed: that is all
                return
            with client, suppress(OSError):
                serve(client)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def server_that_refuses(
    message: str, *, sqlstate: str = "28P01", severity: str = "FATAL"
) -> Iterator[int]:
    """A server that answers each login with an ErrorResponse."""

    def serve(client: socket.socket) -> None:
        _log_in(client)
        client.sendall(_error(message, sqlstate, severity))

    with serving(serve) as port:
        yield port


@contextmanager
def server_that_says(words: bytes) -> Iterator[int]:
    """Something else that listens there: says that, if anything, and hangs up."""

    def serve(client: socket.socket) -> None:
        client.recv(4096)
        client.sendall(words)

    with serving(serve) as port:
        yield port


@contextmanager
def standby_that_refuses(message: str, sqlstate: str) -> Iterator[int]:
    """A hot standby that lets everybody in, and refuses each query."""

    def serve(client: socket.socket) -> None:
        _log_in(client)
        client.sendall(
            b"R" + (8).to_bytes(4) + (0).to_bytes(4)
            + _message(b"S", "client_encoding", "UTF8")
            + _message(b"S", "server_version", "18.4")
            + _message(b"S", "in_hot_standby", "on")
            + _READY
        )  # fmt: skip
        while client.recv(65_536)[:1] not in {b"", b"X"}:
            client.sendall(_error(message, sqlstate, "ERROR") + _READY)

    with serving(serve) as port:
        yield port
