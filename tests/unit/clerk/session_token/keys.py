"""Keys of session tokens, a set of them to be fetched, and tokens to be verified."""

from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from clerksync.clerk.session_token import SessionVerifier
from local.stub_clerk.stub import StubClerk
from tests.people import user_id

ISSUER = "https://clerk.test"
URL = ISSUER + "/.well-known/jwks.json"
USER = user_id(1)


class KeySet:
    """A key set on the net, to be changed and counted."""

    def __init__(self, *keys: Any) -> None:
        self.keys: Any = list(keys)
        self.fetched: list[str] = []
        self.error: Exception | None = None

    def fetch(self, url: str) -> Mapping[str, Any]:
        self.fetched.append(url)
        if self.error is not None:
            raise self.error
        return {"keys": self.keys}


class Clock:
    """A monotonic clock that stands still."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


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
