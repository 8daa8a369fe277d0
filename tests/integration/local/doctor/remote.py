"""The tests' Postgres as if it were far away: behind a name, and behind TLS."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

_SSL_REQUEST = 80877103
# Of the certificate that tests/integration/test_tls.py makes.
HOST = "db.example.com"


@dataclass(frozen=True)
class Remote:
    server_url: str
    port: int
    certificate: Path

    def url(self, **parameters: str) -> str:
        """The database by its name; nothing else is said of TLS."""
        address = {"host": HOST, "hostaddr": "127.0.0.1", "port": str(self.port)}
        return make_conninfo(self.server_url, **address, **parameters)


@contextmanager
def far_away(database_url: str, certificate: Path) -> Iterator[Remote]:
    """Ends TLS where a client asks for it, and hands all else on to Postgres."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with psycopg.connect(database_url) as connection:
        host, port = connection.info.host, connection.info.port

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # closed: that is all
                return
            threading.Thread(target=hand_on, args=(client,), daemon=True).start()

    def hand_on(client: socket.socket) -> None:
        with suppress(OSError):
            client, first = _asked_for_tls(client, context)
            with client, _connected(host, port) as server:
                server.sendall(first)
                back = threading.Thread(target=_copy, args=(server, client))
                back.start()
                _copy(client, server)
                back.join()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield Remote(database_url, listener.getsockname()[1], certificate)
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def _asked_for_tls(
    client: socket.socket, context: ssl.SSLContext
) -> tuple[socket.socket, bytes]:
    """The connection, inside TLS if it was asked for, and its first bytes."""
    while True:
        first = client.recv(4096)
        if int.from_bytes(first[4:8]) == _SSL_REQUEST:
            client.sendall(b"S")
            client = context.wrap_socket(client, server_side=True)
        elif len(first) == 8 and first[4:8] != b"\0\x03\0\0":
            client.sendall(b"N")  # GSS encryption
        else:
            return client, first


def _connected(host: str, port: int) -> socket.socket:
    if not host.startswith("/"):
        return socket.create_connection((host, port))
    server = socket.socket(socket.AF_UNIX)
    server.connect(f"{host}/.s.PGSQL.{port}")
    return server


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(65_536):
            target.sendall(chunk)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
