"""The proxy of `make chaos` does to a connection what it is told to, and undoes it."""

import socket
from collections.abc import Iterator

import pytest

from tests.chaos.proxy import Proxy
from tests.doors import listening
from tests.terminal import eventually

REQUEST = b"GET / HTTP/1.0\r\n\r\n"


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with listening(b"answered") as listener, Proxy(listener.server_port) as proxy:
        yield proxy


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=60)


def answer(client: socket.socket) -> bytes:
    received = b""
    while chunk := client.recv(4096):
        received += chunk
    return received


def test_without_a_fault_everything_goes_through(proxy: Proxy) -> None:
    """In both directions, to the end."""
    with connected(proxy) as client:
        client.sendall(REQUEST)
        assert answer(client).endswith(b"answered")


def test_a_frozen_connection_is_taken_and_silent_until_it_thaws(proxy: Proxy) -> None:
    """What was sent meanwhile is not lost."""
    proxy.freeze()
    with connected(proxy) as client:
        client.sendall(REQUEST)
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(60)
        proxy.heal()
        assert answer(client).endswith(b"answered")


def test_a_cut_connection_is_reset_and_the_next_one_is_served(proxy: Proxy) -> None:
    """As by a machine that was started anew."""
    with connected(proxy) as client:
        client.sendall(REQUEST[:4])
        assert eventually(lambda: proxy.connections > 0)
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    test_without_a_fault_everything_goes_through(proxy)


def test_who_refuses_does_so_on_the_same_port_until_healed(proxy: Proxy) -> None:
    """The address stays: those who are configured with it find it again."""
    port = proxy.port
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        connected(proxy)
    proxy.heal()
    assert proxy.port == port
    test_without_a_fault_everything_goes_through(proxy)


def test_a_slow_connection_still_delivers(proxy: Proxy) -> None:
    """Later, and all of it."""
    proxy.slow_down(delay=0.05, bytes_per_second=1_000)
    with connected(proxy) as client:
        client.sendall(REQUEST)
        assert answer(client).endswith(b"answered")
