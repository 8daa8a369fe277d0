"""The key in the settings, and the claims held against it.

What makes a token good or bad is tested at the door, in integration/self_sync.
"""

import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clerksync.clerk.session_token import SessionVerifier
from clerksync.errors import (
    InvalidSettingError,
    NotAuthenticatedError,
)
from local.stub_clerk.stub import StubClerk
from tests.clock import stop_the_date
from tests.unit.clerk.session_token.keys import USER, KeySet, token, verify


def test_a_given_key_is_used_whatever_the_key_id(
    verifier: SessionVerifier, clerk: StubClerk, key_set: KeySet
) -> None:
    """It is the one key that there is, and nothing is fetched."""
    other = token(clerk, headers={"kid": "ins_other"})
    assert verify(verifier, other, pem=clerk.jwt_public_key) == USER
    assert key_set.fetched == []


def test_only_the_given_key_counts(
    verifier: SessionVerifier, clerk: StubClerk, new_key: rsa.RSAPrivateKey
) -> None:
    """The key set does not stand in for it."""
    pem = new_key.public_key().public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    with pytest.raises(NotAuthenticatedError):
        verify(verifier, token(clerk), pem=pem.decode())
    assert verify(verifier, token(clerk, key=new_key), pem=pem.decode()) == USER


def test_a_given_key_of_another_kind_is_an_error_of_the_setting(
    verifier: SessionVerifier, clerk: StubClerk
) -> None:
    """An elliptic curve verifies no RS256."""
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(InvalidSettingError, match="CLERK_JWT_KEY"):
        verify(verifier, token(clerk), pem=pem.decode())


def test_an_unknown_issuer_is_not_compared(
    verifier: SessionVerifier, clerk: StubClerk
) -> None:
    """With the key alone there is nothing to hold it against; it must be there."""
    foreign = token(clerk, iss="https://any.test")
    assert verify(verifier, foreign, issuer=None) == USER
    with pytest.raises(NotAuthenticatedError):
        verify(verifier, token(clerk, iss=None), issuer=None)


@pytest.mark.parametrize(
    ("seconds", "good"), [(-4, True), (-7, False), (4, True), (7, False)]
)
def test_the_leeway_is_five_seconds(
    *,
    verifier: SessionVerifier,
    clerk: StubClerk,
    monkeypatch: pytest.MonkeyPatch,
    seconds: int,
    good: bool,
) -> None:
    """Expired so long ago, or valid only so far ahead."""
    now = int(time.time())
    stop_the_date(monkeypatch, "jwt.api_jwt", now)
    name = "exp" if seconds < 0 else "nbf"
    doubtful = token(clerk, **{"iat": now, name: now + seconds})
    if good:
        assert verify(verifier, doubtful) == USER
        return
    with pytest.raises(NotAuthenticatedError):
        verify(verifier, doubtful)
