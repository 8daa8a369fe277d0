"""The stub Clerk's session tokens and keys."""

import base64
import time

import jwt
import pytest

from local.stub_clerk.stub import StubClerk
from tests.unit.local.stub_clerk.asking import get


def test_a_session_token_verifies_by_pem_and_by_key_set(signer: StubClerk) -> None:
    """Its claims are those of version 2; it lives for a minute."""
    user_id = signer.ids()[0]
    token = signer.session_token(user_id)
    keys = jwt.PyJWKSet.from_dict(get(signer, "/.well-known/jwks.json").json())
    kid = jwt.get_unverified_header(token)["kid"]
    by_pem = jwt.decode(token, signer.jwt_public_key, ["RS256"], issuer=signer.issuer)
    assert by_pem == jwt.decode(token, keys[kid].key, ["RS256"])
    assert by_pem["sub"] == user_id
    assert by_pem["sid"].startswith("sess_")
    assert by_pem["exp"] - by_pem["iat"] == 60
    assert by_pem["nbf"] <= by_pem["iat"] <= time.time()
    expected = "azp exp fva iat iss jti nbf sid sts sub v"
    assert sorted(by_pem) == expected.split()
    assert (by_pem["sts"], by_pem["v"]) == ("active", 2)


def test_claims_and_headers_can_be_replaced_or_left_out(signer: StubClerk) -> None:
    """None leaves out; an id that nobody has is as good as any."""
    token = signer.session_token(
        "mch_1",
        azp=None,
        exp=None,
        sts="pending",
        headers={"typ": "at+jwt", "cat": None},
    )
    claims = jwt.decode(token, signer.jwt_public_key, ["RS256"])
    assert "azp" not in claims
    assert "exp" not in claims
    assert (claims["sub"], claims["sts"]) == ("mch_1", "pending")
    header = jwt.get_unverified_header(token)
    assert header["typ"] == "at+jwt"
    assert "cat" not in header
    expired = signer.session_token("user_1", lifetime_seconds=-1)
    with pytest.raises(jwt.ExpiredSignatureError):
        jwt.decode(expired, signer.jwt_public_key, ["RS256"])


def test_tokens_can_be_forged_in_the_known_ways(signer: StubClerk) -> None:
    """Another key, the public key as HMAC secret, no signature: all well-formed."""
    pem = signer.jwt_public_key
    with StubClerk() as other:
        key = other.session_key.private_key
        stolen = signer.session_token("user_1", key=key)
        with pytest.raises(jwt.InvalidSignatureError):
            jwt.decode(stolen, pem, ["RS256"])
        jwt.decode(stolen, other.jwt_public_key, ["RS256"])
    confused = signer.session_token("user_1", key=pem, algorithm="HS256")
    unsigned = signer.session_token("user_1", algorithm="none")
    for forged, algorithm in ((confused, "HS256"), (unsigned, "none")):
        assert jwt.get_unverified_header(forged)["alg"] == algorithm
        with pytest.raises(jwt.InvalidAlgorithmError):
            jwt.decode(forged, pem, ["RS256"])


def test_the_publishable_key_names_the_host(trio: StubClerk) -> None:
    """As Clerk's: base64 of the Frontend API's host and a dollar sign."""
    encoded = trio.publishable_key.removeprefix("pk_test_")
    assert f"http://{base64.b64decode(encoded).decode()}" == f"{trio.issuer}$"
