"""Session tokens that are refused, and those that are good enough."""

import time
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.clock import stop_the_date
from tests.doors import (
    untouched,
)
from tests.integration.functions.self_sync.door import ROUTES, SYNC, Door
from tests.integration.functions.self_sync.forged import FORGED
from tests.tables import rows

APP = "https://app.example.com"


@pytest.fixture(scope="module")
def other_key() -> rsa.RSAPrivateKey:
    """An RSA key that is not Clerk's: to make one takes a while."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)


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
        ({"exp": -4}, {}),
        ({"nbf": 4}, {}),
        ({}, {"headers": {"typ": "jwt"}}),
        ({"sts": None}, {}),
        ({"azp": None}, {}),
        ({}, {"headers": {"cat": None}}),
        ({}, {"headers": {"cat": "cl_I7d4PD111III"}}),
    ],
    ids=[
        "just expired",
        "almost valid",
        "typ jwt",
        "version 1",
        "no azp",
        "from before categories",
        "of an instance without categories",
    ],
)
@pytest.mark.usefixtures("keys")
def test_a_token_that_is_good_enough_is_accepted(
    door: Door,
    monkeypatch: pytest.MonkeyPatch,
    claims: dict[str, Any],
    options: dict[str, Any],
) -> None:
    """Clocks differ by up to 5 seconds, and not every claim is in every token."""
    now = int(time.time())
    stop_the_date(monkeypatch, "jwt.api_jwt", now)
    times = {n: now + claims[n] for n in ("exp", "nbf") if n in claims}
    token = door.token(**options, **claims | {"iat": now} | times)
    assert door.sync(token).status == 200


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
