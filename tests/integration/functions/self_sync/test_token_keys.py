"""Where the key comes from that verifies a session token."""

import base64
import json
from typing import Any

import psycopg
import pytest

from tests.doors import (
    untouched,
)
from tests.integration.functions.self_sync.door import Door


@pytest.mark.parametrize("newline", ["\n", "\\n"], ids=["lines", "escapes"])
@pytest.mark.usefixtures("known")
def test_with_the_key_in_the_environment_nothing_is_fetched(
    door: Door, monkeypatch: pytest.MonkeyPatch, newline: str
) -> None:
    """A PEM, as it is or with escaped line ends, verifies without any request."""
    monkeypatch.setenv(
        "CLERK_JWT_KEY", door.clerk.jwt_public_key.replace("\n", newline)
    )
    monkeypatch.delenv("CLERK_SECRET_KEY")
    door.clerk.reset_requests()
    assert door.me().status == 200
    assert door.clerk.requests == 0


def test_with_an_issuer_the_key_is_fetched_from_there_once(door: Door) -> None:
    """The public key set of the Frontend API serves all tokens that follow."""
    assert [door.sync().status for _ in range(3)] == [200] * 3
    assert door.asked("/.well-known/jwks.json") == 1
    assert door.asked("/v1/jwks") == 0


def test_without_an_issuer_the_key_is_fetched_from_the_backend(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Backend API has it too, for who has the secret key."""
    monkeypatch.delenv("CLERK_ISSUER")
    assert [door.sync().status for _ in range(3)] == [200] * 3
    assert door.asked("/v1/jwks") == 1
    assert door.asked("/.well-known/jwks.json") == 0


def test_the_publishable_key_names_the_issuer(
    door: Door, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens of another instance are refused, though the same key had signed them."""
    monkeypatch.delenv("CLERK_ISSUER")
    monkeypatch.setenv("CLERK_PUBLISHABLE_KEY", door.clerk.publishable_key)
    monkeypatch.setenv("CLERK_JWT_KEY", door.clerk.jwt_public_key)
    with untouched(connection):
        assert door.sync().status == 401
    issuer = door.clerk.issuer.replace("http:", "https:")
    assert door.sync(door.token(iss=issuer)).status == 200


def test_unknown_key_ids_do_not_hammer_the_key_set(
    door: Door, connection: psycopg.Connection
) -> None:
    """Strangers can invent key ids; the set is fetched once for all of them."""
    with untouched(connection):
        for number in range(20):
            token = door.token(headers={"kid": f"ins_{number}"})
            assert door.sync(token).status == 401
    assert door.asked("/.well-known/jwks.json") == 1
    assert door.sync().status == 200
    assert door.asked("/.well-known/jwks.json") == 1


@pytest.mark.parametrize("kid", [None, "", "ins_other", 1, ["a"]], ids=repr)
def test_a_token_of_an_unknown_key_is_refused(
    door: Door, connection: psycopg.Connection, kid: Any
) -> None:
    """The key set alone says which keys there are."""
    if isinstance(kid, str) or kid is None:
        token = door.token(headers={"kid": kid})
    else:
        head = json.dumps({"alg": "RS256", "typ": "JWT", "kid": kid}).encode()
        _, _, rest = door.token().partition(".")
        token = f"{base64.urlsafe_b64encode(head).decode().rstrip('=')}.{rest}"
    with untouched(connection):
        assert door.sync(token).status == 401
    assert door.asked() == 0


@pytest.mark.parametrize(
    "pem",
    [
        "correct-horse",
        "-----BEGIN PUBLIC KEY-----\\nY29ycmVjdC1ob3JzZQ==\\n-----END PUBLIC KEY-----",
        "-----BEGIN PUBLIC KEY-----",
    ],
    ids=["no PEM", "no key inside", "cut off"],
)
def test_a_key_that_is_none_is_named_and_not_shown(
    door: Door,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    pem: str,
) -> None:
    """It is the operator's error: a 500 that says which setting, not which value."""
    monkeypatch.setenv("CLERK_JWT_KEY", pem)
    with untouched(connection):
        for answer in (door.sync(), door.me()):
            assert answer.status == 500
            assert "CLERK_JWT_KEY" in answer.error


def test_a_private_key_is_not_a_public_one(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An instance's PEM of another kind does not verify anything."""
    monkeypatch.setenv("CLERK_JWT_KEY", "-----BEGIN PRIVATE KEY-----\nAAAA")
    assert door.sync().status == 500
