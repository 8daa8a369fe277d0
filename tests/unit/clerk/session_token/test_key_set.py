"""The key set: which key is used, how long, and how often it is fetched."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from clerksync.clerk.session_token import SessionVerifier
from clerksync.errors import (
    ClerkRequestError,
    ClerkUnavailableError,
    NotAuthenticatedError,
)
from local.stub_clerk.stub import StubClerk
from tests.unit.clerk.session_token.keys import (
    URL,
    USER,
    Clock,
    KeySet,
    jwk,
    token,
    verify,
)


def test_a_good_token_gives_its_user(
    verifier: SessionVerifier, clerk: StubClerk
) -> None:
    """The answer is the user's Clerk id."""
    assert verify(verifier, token(clerk)) == USER


def test_a_key_is_fetched_once_an_hour(
    verifier: SessionVerifier, clerk: StubClerk, key_set: KeySet, clock: Clock
) -> None:
    """A warm function asks for no key; one that Clerk withdrew ends with the hour."""
    for seconds in (0, 1, 3500):
        clock.now = 1000 + seconds
        verify(verifier, token(clerk))
    assert key_set.fetched == [URL]
    key_set.keys = []
    clock.now = 1000 + 3601
    with pytest.raises(NotAuthenticatedError):
        verify(verifier, token(clerk))
    assert len(key_set.fetched) == 2


def test_a_new_key_is_found_when_it_is_first_used(
    verifier: SessionVerifier,
    clerk: StubClerk,
    key_set: KeySet,
    clock: Clock,
    new_key: rsa.RSAPrivateKey,
) -> None:
    """After a rotation, tokens of the new key and of the old one are good."""
    verify(verifier, token(clerk))
    clock.now += 60
    key_set.keys.append(jwk(new_key, "ins_new"))
    fresh = token(clerk, key=new_key, headers={"kid": "ins_new"})
    assert verify(verifier, fresh) == USER
    assert verify(verifier, token(clerk)) == USER
    assert len(key_set.fetched) == 2


def test_unknown_keys_are_looked_up_every_ten_seconds(
    verifier: SessionVerifier, clerk: StubClerk, key_set: KeySet, clock: Clock
) -> None:
    """However many strangers invent them."""
    for _ in range(25):
        clock.now += 1
        with pytest.raises(NotAuthenticatedError):
            verify(verifier, token(clerk, headers={"kid": f"ins_{clock.now}"}))
    assert len(key_set.fetched) == 3


def test_the_key_of_one_set_is_not_used_for_another(
    verifier: SessionVerifier, clerk: StubClerk, key_set: KeySet
) -> None:
    """Where the setting changes, so do the keys, at once."""
    verify(verifier, token(clerk))
    key_set.keys = []
    with pytest.raises(NotAuthenticatedError):
        verify(verifier, token(clerk), jwks_url="https://other.test/jwks.json")
    assert key_set.fetched == [URL, "https://other.test/jwks.json"]


def test_a_key_set_that_cannot_be_fetched_is_not_the_users_fault(
    verifier: SessionVerifier, clerk: StubClerk, key_set: KeySet
) -> None:
    """The error passes through, and the next request tries again."""
    key_set.error = ClerkUnavailableError("Clerk cannot be asked.")
    with pytest.raises(ClerkUnavailableError):
        verify(verifier, token(clerk))
    key_set.error = None
    assert verify(verifier, token(clerk)) == USER


@pytest.mark.parametrize(
    "error", [ClerkUnavailableError("silent"), ClerkRequestError("no", 403)], ids=repr
)
def test_a_key_set_that_is_lost_is_asked_every_ten_seconds(
    verifier: SessionVerifier,
    clerk: StubClerk,
    key_set: KeySet,
    clock: Clock,
    error: Exception,
) -> None:
    """Strangers' invented keys do not make everybody wait for it, nor do its answers
    cost those a session whose key is known."""
    verify(verifier, token(clerk))
    clock.now += 3601
    key_set.error = error
    with pytest.raises(type(error)):
        verify(verifier, token(clerk, headers={"kid": "ins_0"}))
    for number in range(1, 10):
        with pytest.raises(NotAuthenticatedError):
            verify(verifier, token(clerk, headers={"kid": f"ins_{number}"}))
        assert verify(verifier, token(clerk)) == USER
    assert len(key_set.fetched) == 2
    clock.now += 11
    assert verify(verifier, token(clerk)) == USER
    assert len(key_set.fetched) == 3


def test_nothing_is_fetched_for_what_is_no_session_token(
    verifier: SessionVerifier, clerk: StubClerk, key_set: KeySet
) -> None:
    """Garbage and other algorithms cost no request."""
    forged = token(clerk, algorithm="HS256", key=clerk.jwt_public_key)
    oauth = token(clerk, headers={"typ": "at+jwt"})
    for bad in ("garbage", forged, oauth, token(clerk, algorithm="none")):
        with pytest.raises(NotAuthenticatedError):
            verify(verifier, bad)
    assert key_set.fetched == []


@pytest.mark.parametrize(
    "odd",
    [
        None,
        "key",
        {},
        {"kty": "RSA"},
        {"kty": "RSA", "kid": "ins_odd"},
        {"kty": "RSA", "kid": "ins_odd", "n": "%", "e": "%"},
        {"kty": "EC", "kid": "ins_odd", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "new", "kid": "ins_odd"},
    ],
    ids=[
        "null",
        "text",
        "empty",
        "no kid",
        "no numbers",
        "bad numbers",
        "EC",
        "unknown",
    ],
)
def test_a_key_that_cannot_be_read_does_not_hide_the_others(
    verifier: SessionVerifier, clerk: StubClerk, key_set: KeySet, odd: Any
) -> None:
    """A set may hold keys of other kinds."""
    key_set.keys.insert(0, odd)
    assert verify(verifier, token(clerk)) == USER


def test_a_shared_secret_in_the_key_set_is_not_used(
    verifier: SessionVerifier, clerk: StubClerk, key_set: KeySet
) -> None:
    """Session tokens are RS256 and nothing else, whatever keys there are."""
    secret = {"kty": "oct", "kid": "ins_oct", "k": "c2VjcmV0LXNlY3JldA", "alg": "HS256"}
    key_set.keys.append(secret)
    forged = token(
        clerk, algorithm="HS256", key=b"secret-secret", headers={"kid": "ins_oct"}
    )
    with pytest.raises(NotAuthenticatedError):
        verify(verifier, forged)
