"""Session tokens that are refused, and those that are good enough."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.doors import (
    untouched,
)
from tests.integration.self_sync.door import ROUTES, SYNC, Door
from tests.people import user_id
from tests.tables import rows

APP = "https://app.example.com"


@pytest.fixture(scope="module")
def other_key() -> rsa.RSAPrivateKey:
    """An RSA key that is not Clerk's: to make one takes a while."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)


Forge = Callable[[Door, rsa.RSAPrivateKey], str]


def _altered(token: str, **claims: Any) -> str:
    """The token with other claims under the signature of the old ones."""
    head, payload, signature = token.split(".")
    old = json.loads(base64.urlsafe_b64decode(payload + "=="))
    new = base64.urlsafe_b64encode(json.dumps(old | claims).encode())
    return f"{head}.{new.decode().rstrip('=')}.{signature}"


FORGED: dict[str, Forge] = {
    "garbage": lambda *_: "garbage",
    "two dots": lambda *_: "..",
    "three words": lambda *_: "a.b.c",
    "not ASCII": lambda *_: "é.é.é",
    "a lone surrogate": lambda *_: "\ud800.\ud800.\ud800",
    "NUL": lambda *_: "\0.\0.\0",
    "JSON of another shape": lambda *_: "W10.W10.W10",
    "deep nesting": lambda *_: base64.b64encode(b"[" * 60_000).decode() + ".e30.e30",
    "100 KB": lambda *_: "a" * 100_000,
    "100 KB of dots": lambda *_: "." * 100_000,
    "100 KB in a claim": lambda door, key: door.token(key=key, pad="a" * 100_000),
    "a machine's": lambda *_: "mt_2g7np7Hrk0SN6kj5EDMLDaKNL0S",
    "machine to machine": lambda *_: "m2m_2g7np7Hrk0SN6kj5EDMLDaKNL0S",
    "an opaque OAuth token": lambda *_: "oat_2g7np7Hrk0SN6kj5EDMLDaKNL0S",
    "an API key": lambda *_: "ak_2g7np7Hrk0SN6kj5EDMLDaKNL0S",
    "the secret key": lambda door, _: door.clerk.secret_key,
    "of another key": lambda door, key: door.token(key=key),
    "altered": lambda door, _: _altered(door.token(), sub=user_id(2)),
    "without signature": lambda door, _: door.token().rpartition(".")[0] + ".",
    "cut off": lambda door, _: door.token()[:-9],
    "alg none": lambda door, _: door.token(algorithm="none"),
    "alg None": lambda door, _: (
        base64.b64encode(b'{"alg":"None","typ":"JWT"}').decode().rstrip("=")
        + "."
        + door.token().split(".")[1]
        + "."
    ),
    "HS256 by the public key": lambda door, _: door.token(
        algorithm="HS256", key=door.clerk.jwt_public_key
    ),
    "RS512": lambda door, _: door.token(algorithm="RS512"),
    "PS256": lambda door, _: door.token(algorithm="PS256"),
    "expired": lambda door, _: door.token(lifetime_seconds=-8),
    "expired long ago": lambda door, _: door.token(lifetime_seconds=-86_400),
    "not yet valid": lambda door, _: door.token(nbf=int(time.time()) + 60),
    "without exp": lambda door, _: door.token(exp=None),
    "exp a text": lambda door, _: door.token(exp="tomorrow"),
    "without sub": lambda door, _: door.token(sub=None),
    "without sid": lambda door, _: door.token(sid=None),
    "sid empty": lambda door, _: door.token(sid=""),
    "sid a number": lambda door, _: door.token(sid=1),
    "without issuer": lambda door, _: door.token(iss=None),
    "another issuer": lambda door, _: door.token(iss="https://clerk.example.org"),
    "the issuer with a slash": lambda door, _: door.token(iss=door.clerk.issuer + "/"),
    "pending": lambda door, _: door.token(sts="pending"),
    "sub of a machine": lambda door, _: door.token(sub="mch_2g7np7Hrk0SN6kj5EDMLDaKN"),
    "sub of a session": lambda door, _: door.token(sub="sess_2g7np7Hrk0SN6kj5EDMLDaK"),
    "sub with a newline": lambda door, _: door.token(sub=door.user_id + "\n"),
    "sub with a path": lambda door, _: door.token(sub="user_1/../" + door.user_id),
    "sub empty": lambda door, _: door.token(sub=""),
    "OAuth": lambda door, _: door.token(headers={"typ": "at+jwt"}),
    "OAuth in capitals": lambda door, _: door.token(headers={"typ": "AT+JWT"}),
    "OAuth in full": lambda door, _: door.token(headers={"typ": "application/at+jwt"}),
    "typ a number": lambda door, _: door.token(headers={"typ": 1}),
    "an unknown critical header": lambda door, _: door.token(
        headers={"crit": ["exp"], "exp": 1}
    ),
}


@pytest.fixture(params=["CLERK_JWT_KEY", "JWKS"])
def keys(
    request: pytest.FixtureRequest, door: Door, monkeypatch: pytest.MonkeyPatch
) -> str:
    """Both ways to know the key that signs."""
    if request.param == "CLERK_JWT_KEY":
        monkeypatch.setenv("CLERK_JWT_KEY", door.clerk.jwt_public_key)
    return str(request.param)


@pytest.mark.parametrize("name", FORGED)
@pytest.mark.usefixtures("keys")
def test_a_token_that_is_not_a_good_one_is_refused(
    door: Door,
    connection: psycopg.Connection,
    other_key: rsa.RSAPrivateKey,
    name: str,
) -> None:
    """Nothing is written, and Clerk is not asked for the user."""
    token = FORGED[name](door, other_key)
    with untouched(connection):
        for method, path in ROUTES:
            answer = door.ask(method, path, token)
            assert answer.status == 401
            assert answer.error
    assert door.asked() == 0


@pytest.mark.usefixtures("keys")
def test_a_refused_token_in_the_cookie_is_refused_too(door: Door) -> None:
    """The cookie is no weaker door."""
    cookies = [f"__session={door.token(lifetime_seconds=-60)}"]
    assert door.ask("POST", SYNC, cookies=cookies).status == 401


@pytest.mark.parametrize(
    ("claims", "options"),
    [
        ({}, {"lifetime_seconds": -3}),
        ({"nbf": 3}, {}),
        ({}, {"headers": {"typ": "jwt"}}),
        ({"sts": None}, {}),
        ({"azp": None}, {}),
    ],
    ids=["just expired", "almost valid", "typ jwt", "version 1", "no azp"],
)
@pytest.mark.usefixtures("keys")
def test_a_token_that_is_good_enough_is_accepted(
    door: Door, claims: dict[str, Any], options: dict[str, Any]
) -> None:
    """Clocks differ by up to 5 seconds, and not every claim is in every token."""
    if claims.get("nbf"):
        claims = {"nbf": int(time.time()) + claims["nbf"]}
    assert door.sync(door.token(**options, **claims)).status == 200


@pytest.mark.parametrize(
    ("azp", "status"),
    [
        (APP, 200),
        ("http://localhost:3000", 200),
        ("https://app.example.com.evil.example", 401),
        ("https://evil.example", 401),
        ("http://app.example.com", 401),
        (APP + ",http://localhost:3000", 401),
        ("", 401),
        (None, 401),
        (1, 401),
        ([APP], 401),
    ],
    ids=repr,
)
@pytest.mark.usefixtures("keys")
def test_only_authorised_parties_may_call_when_they_are_set(
    door: Door,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    azp: Any,
    status: int,
) -> None:
    """The token's origin must be one of them, and must be there."""
    parties = f" {APP}/ , http://localhost:3000,"
    monkeypatch.setenv("CLERK_AUTHORIZED_PARTIES", parties)
    assert door.sync(door.token(azp=azp)).status == status
    assert len(rows(connection)) == (status == 200)
