"""Session tokens that must be refused, and how each is made."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.integration.functions.self_sync.door import Door
from tests.people import user_id

Forge = Callable[[Door, rsa.RSAPrivateKey], str]


def _altered(token: str, **claims: Any) -> str:
    """The token with other claims under the signature of the old ones."""
    head, payload, signature = token.split(".")
    old = json.loads(base64.urlsafe_b64decode(payload + "=="))
    new = base64.urlsafe_b64encode(json.dumps(old | claims).encode())
    return f"{head}.{new.decode().rstrip('=')}.{signature}"


def _with_header(token: str, **header: Any) -> str:
    """The token with another header over the signature of the old one."""
    old = json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))
    return _recoded(token, 0, json.dumps(old | header).encode())


def _recoded(token: str, number: int, part: bytes) -> str:
    """The token with one of its parts replaced."""
    parts = token.split(".")
    parts[number] = base64.urlsafe_b64encode(part).decode().rstrip("=")
    return ".".join(parts)


def _public_jwk(key: rsa.RSAPrivateKey) -> dict[str, Any]:
    return jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)


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
    "of a JWT template": lambda door, _: door.token(headers={"cat": "cl_B7d4PD222AAA"}),
    "of a machine": lambda door, _: door.token(headers={"cat": "cl_B7d4PD333AAA"}),
    "cat of tomorrow": lambda door, _: door.token(headers={"cat": "cl_B7d4PD444AAA"}),
    "cat empty": lambda door, _: door.token(headers={"cat": ""}),
    "cat a list": lambda door, _: door.token(headers={"cat": ["cl_B7d4PD111AAA"]}),
    "an unknown critical header": lambda door, _: door.token(
        headers={"crit": ["exp"], "exp": 1}
    ),
    "b64 switched off": lambda door, _: door.token(
        headers={"crit": ["b64"], "b64": False}
    ),
    "kid of nobody": lambda door, key: door.token(key=key, headers={"kid": "ins_x"}),
    "kid a path": lambda door, key: door.token(
        key=key, headers={"kid": "../../../../dev/null"}
    ),
    "kid an SQL injection": lambda door, key: door.token(
        key=key, headers={"kid": "x' UNION SELECT 'secret' --"}
    ),
    "kid a command": lambda door, key: door.token(key=key, headers={"kid": "|id"}),
    "kid empty": lambda door, key: door.token(key=key, headers={"kid": ""}),
    "its own key in jwk": lambda door, key: door.token(
        key=key, headers={"jwk": _public_jwk(key)}
    ),
    "its own keys at jku": lambda door, key: door.token(
        key=key, headers={"jku": "https://evil.example/jwks.json"}
    ),
    "its own certificate at x5u": lambda door, key: door.token(
        key=key, headers={"x5u": "https://evil.example/key.pem"}
    ),
    "its own certificate in x5c": lambda door, key: door.token(
        key=key, headers={"x5c": ["MIIB"]}
    ),
    "compressed": lambda door, key: door.token(key=key, headers={"zip": "DEF"}),
    "alg in small letters": lambda door, _: _with_header(door.token(), alg="rs256"),
    "alg a list": lambda door, _: _with_header(door.token(), alg=["RS256"]),
    "alg twice": lambda door, _: _recoded(
        door.token(), 0, b'{"alg":"none","alg":"RS256","typ":"JWT"}'
    ),
    "sub twice": lambda door, _: _recoded(
        door.token(), 1, b'{"sub":"%b","sub":"user_2"}' % door.user_id.encode()
    ),
    "sub of look-alike letters": lambda door, _: door.token(
        sub=door.user_id.replace("user_", "u\u0455er_")
    ),
    "sub in full width": lambda door, _: door.token(sub="\uff55ser_" + "a" * 27),
    "sub with NUL": lambda door, _: door.token(sub=door.user_id + "\0"),
    "sub a list": lambda door, _: door.token(sub=[door.user_id]),
    "sub an object": lambda door, _: door.token(sub={"id": door.user_id}),
    "issuer in capitals": lambda door, _: door.token(iss=door.clerk.issuer.upper()),
    "exp infinite": lambda door, _: door.token(exp=float("inf")),
    "exp a list": lambda door, _: door.token(exp=[int(time.time()) + 60]),
    "nbf a text": lambda door, _: door.token(nbf="soon"),
    "issued in the future": lambda door, _: door.token(iat=int(time.time()) + 3600),
    "two of them": lambda door, _: f"{door.token()}.{door.token()}",
    "padded": lambda door, _: door.token().replace(".", "=.", 1),
    "an encrypted one": lambda *_: "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..a.b.c",
}
