"""Postgres behind TLS: whose certificate is trusted, and what is said of others."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from clerksync.errors import DatabaseUnreachableError
from clerksync.postgres.database import Database

_SSL_REQUEST = 80877103


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For db.example.com, signed by itself; with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name.from_rfc4514_string("CN=db.example.com")
    names = x509.SubjectAlternativeName([x509.DNSName("db.example.com")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(certificate.public_bytes(pem) + private)
    return file


@contextmanager
def server(certificate: Path) -> Iterator[tuple[int, list[bytes]]]:
    """A port that speaks TLS as Postgres does, and what it heard inside."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    heard: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # closed: that is all
                return
            with client, suppress(OSError):
                while int.from_bytes(client.recv(8)[4:8]) != _SSL_REQUEST:
                    client.sendall(b"N")
                client.sendall(b"S")
                with context.wrap_socket(client, server_side=True) as inside:
                    heard.append(inside.recv(4096))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], heard
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def failure(port: int, more: str = "", host: str = "db.example.com") -> str:
    url = f"postgresql://somebody:correct-horse@/app?host={host}&hostaddr=127.0.0.1"
    with pytest.raises(DatabaseUnreachableError) as caught:
        Database(lambda: f"{url}&port={port}{more}").run(lambda _: None)
    return str(caught.value)


def test_a_certificate_of_unknown_authority_is_refused(certificate: Path) -> None:
    """Before anything, a user's name or a password, is said."""
    with server(certificate) as (port, heard):
        message = failure(port)
    assert "no TLS certificate that can be trusted" in message
    assert "sslrootcert" in message
    assert heard == []


def test_an_authority_that_the_url_names_is_trusted(certificate: Path) -> None:
    """The connection goes on, encrypted, to the log-in."""
    with server(certificate) as (port, heard):
        failure(port, f"&sslrootcert={certificate}")
    assert b"somebody" in heard[0]


def test_a_certificate_of_another_host_is_refused(certificate: Path) -> None:
    """Whoever signed it."""
    with server(certificate) as (port, heard):
        message = failure(port, f"&sslrootcert={certificate}", host="db.example.org")
    assert "no TLS certificate that can be trusted" in message
    assert b"".join(heard) == b""


def test_a_url_that_only_encrypts_trusts_anybody(certificate: Path) -> None:
    """`sslmode=require` is taken at its word."""
    with server(certificate) as (port, heard):
        failure(port, "&sslmode=require")
    assert b"somebody" in heard[0]


def test_a_server_without_tls_is_refused() -> None:
    """Unless the URL says that the network itself is trusted."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            client, _ = listener.accept()
            with client, suppress(OSError):
                while client.recv(8):
                    client.sendall(b"N")

        thread = threading.Thread(target=answer)
        thread.start()
        message = failure(listener.getsockname()[1])
        thread.join()
    assert "sslmode=disable" in message
