"""Session tokens as Clerk signs them, and the keys to check them with."""

import base64
import hmac
import json
import random
import secrets
import time
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from local.stub_clerk.wire import JSON, new_id, now_ms

_NOT_BEFORE_S = 10


class SessionKey:
    """The instance's RSA key: made when first asked for, as that takes 50 ms."""

    def __init__(self, instance_id: str) -> None:
        self.kid = instance_id

    @cached_property
    def private_key(self) -> rsa.RSAPrivateKey:
        """Return the private key."""
        return rsa.generate_private_key(public_exponent=65_537, key_size=2048)

    @cached_property
    def public_pem(self) -> str:
        """Return what Clerk's dashboard calls the JWT public key."""
        pem = self.private_key.public_key().public_bytes(
            serialization.Encoding.PEM,
            serialization.PublicFormat.SubjectPublicKeyInfo,
        )
        return pem.decode()

    @cached_property
    def jwks(self) -> JSON:
        """Return the JSON Web Key Set; its one key has the instance's id as `kid`."""
        public = self.private_key.public_key()
        key = jwt.algorithms.RSAAlgorithm.to_jwk(public, as_dict=True)
        key = {k: v for k, v in key.items() if k != "key_ops"}
        return {"keys": [key | {"kid": self.kid, "use": "sig", "alg": "RS256"}]}


def session_token(
    session_key: SessionKey,
    claims: Mapping[str, Any],
    *,
    lifetime_s: float,
    headers: Mapping[str, Any],
    key: Any,
    algorithm: str,
) -> str:
    """Return a JWT (version 2) issued now, for a session of its own.

    `claims` and `headers` replace Clerk's; one that is None is left out. Times are
    Unix seconds; a negative `lifetime_s` makes a token that has expired.
    """
    now = int(time.time())
    expires = int(now + lifetime_s)
    all_claims = {
        "azp": "http://localhost:3000",
        "exp": expires,
        "fva": [0, -1],
        "iat": now,
        "jti": secrets.token_hex(10),
        "nbf": min(now, expires) - _NOT_BEFORE_S,
        "sid": new_id("sess", now_ms(), random.SystemRandom()),
        "sts": "active",
        "v": 2,
    } | dict(claims)
    all_headers = {"cat": "cl_B7d4PD111AAA", "kid": session_key.kid} | dict(headers)
    payload = {name: value for name, value in all_claims.items() if value is not None}
    header = {name: value for name, value in all_headers.items() if value is not None}
    if algorithm.startswith("HS"):
        return _encode_hmac(payload, header, key, algorithm)
    if key is None and algorithm != "none":
        key = session_key.private_key
    return jwt.encode(payload, key, algorithm, headers=header)


def _encode_hmac(payload: JSON, header: JSON, key: str | bytes, algorithm: str) -> str:
    # PyJWT refuses a public key as an HMAC secret; that very forgery is what a
    # verifier's tests need.
    secret = key.encode() if isinstance(key, str) else key
    parts = [{"typ": "JWT"} | header | {"alg": algorithm}, payload]
    signed = b".".join(_base64url(json.dumps(part).encode()) for part in parts)
    digest = hmac.new(secret, signed, f"sha{algorithm[2:]}").digest()
    return (signed + b"." + _base64url(digest)).decode()


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
