"""The keys of session tokens: which are used, how long, and how often fetched.

What makes a token good or bad is tested at the door, in test_self_sync.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clerksync.errors import (
    ClerkUnavailableError,
    InvalidSettingError,
    NotAuthenticatedError,
)
from clerksync.session_token import SessionVerifier, find_token
from local.stub_clerk import StubClerk
from tests.people import user_id

ISSUER = "https://clerk.test"
URL = ISSUER + "/.well-known/jwks.json"
USER = user_id(1)


class KeySet:
    """A key set on the net, to be changed and counted."""

    def __init__(self, *keys: Any) -> None:
        self.keys: Any = list(keys)
        self.fetched: list[str] = []
        self.works = True

    def fetch(self, url: str) -> Mapping[str, Any]:
        self.fetched.append(url)
        if not self.works:
            raise ClerkUnavailableError("Clerk cannot be asked.")
        return {"keys": self.keys}


class Clock:
    """A monotonic clock that stands still."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("clerksync.session_token.time.monotonic", clock)
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


def token(clerk: StubClerk, **options: Any) -> str:
    return clerk.session_token(USER, **{"iss": ISSUER} | options)


def verify(
    verifier: SessionVerifier,
    token: str,
    *,
    pem: str | None = None,
    jwks_url: str = URL,
    issuer: str | None = ISSUER,
) -> str:
    return verifier.verify(
        token,
        pem=pem,
        jwks_url=jwks_url,
        issuer=issuer,
        authorized_parties=frozenset(),
    )


def jwk(key: rsa.RSAPrivateKey, kid: str) -> dict[str, Any]:
    public: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(
        key.public_key(), as_dict=True
    )
    return public | {"kid": kid, "use": "sig", "alg": "RS256"}


# The key set.


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
    key_set.works = False
    with pytest.raises(ClerkUnavailableError):
        verify(verifier, token(clerk))
    key_set.works = True
    assert verify(verifier, token(clerk)) == USER


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


# The PEM.


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
    verifier: SessionVerifier, clerk: StubClerk, seconds: int, *, good: bool
) -> None:
    """Expired so long ago, or valid only so far ahead."""
    if seconds < 0:
        doubtful = token(clerk, lifetime_seconds=seconds)
    else:
        doubtful = token(clerk, nbf=int(time.time()) + seconds)
    if good:
        assert verify(verifier, doubtful) == USER
        return
    with pytest.raises(NotAuthenticatedError):
        verify(verifier, doubtful)


# Finding the token.


@pytest.mark.parametrize(
    ("headers", "cookies", "found"),
    [
        ({"authorization": "Bearer a"}, {}, "a"),
        ({"authorization": "bEaReR a"}, {}, "a"),
        ({"authorization": "  Bearer   a  "}, {}, "a"),
        ({"authorization": "Bearer a"}, {"__session": "b"}, "a"),
        ({"authorization": "Bearer "}, {"__session": "b"}, "b"),
        ({"authorization": "Basic a"}, {"__session": "b"}, "b"),
        ({}, {"__session": "b"}, "b"),
        ({}, {"__session": ""}, None),
        ({}, {"session": "b"}, None),
        ({"authorization": ""}, {}, None),
        ({"authorization": "a"}, {}, None),
        ({"authorization": "Bearer"}, {}, None),
        ({}, {}, None),
    ],
)
def test_a_token_is_found_in_header_or_cookie(
    headers: dict[str, str], cookies: dict[str, str], found: str | None
) -> None:
    """A bearer token first, else the session cookie."""
    if found is None:
        with pytest.raises(NotAuthenticatedError):
            find_token(headers, cookies)
    else:
        assert find_token(headers, cookies) == found
