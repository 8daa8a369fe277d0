"""A verifier, and the key set that it fetches."""

from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from clerksync.clerk.session_token import SessionVerifier
from local.stub_clerk.stub import StubClerk
from tests.unit.clerk.session_token.keys import Clock, KeySet


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("clerksync.clerk.session_token.time.monotonic", clock)
    return clock


@pytest.fixture(scope="module")
def clerk() -> Iterator[StubClerk]:
    with StubClerk() as clerk:
        yield clerk


@pytest.fixture(scope="module")
def new_key() -> rsa.RSAPrivateKey:
    """The key after a rotation."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)


@pytest.fixture
def key_set(clerk: StubClerk) -> KeySet:
    return KeySet(*clerk.session_key.jwks["keys"])


@pytest.fixture
def verifier(key_set: KeySet) -> SessionVerifier:
    return SessionVerifier(key_set.fetch)
