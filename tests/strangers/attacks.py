"""Attacks on signature and token, each with the answer that it gets.

Those on the token itself stand in `forged`, and those on the signature's form in
`test_bad_signatures`; here are the ones that people write about, and those that need
more than a header.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import rsa

from tests.doors import Answer, api_request, sign_by_hand
from tests.integration.functions.self_sync.door import ME, SYNC
from tests.integration.functions.self_sync.forged import FORGED
from tests.integration.functions.webhook.door import OTHER_SECRET, PATH
from tests.people import user_json
from tests.strangers.stack import Stack

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Attack:
    name: str
    send: Callable[[Stack], Answer]
    answer: int
    """What it gets: 200 where it is none, but looks like one."""


def _event(stack: Stack) -> bytes:
    user = user_json(1, version=99, first_name="Changed")
    return json.dumps(stack.clerk.event("user.updated", user)).encode()


def _delivered(
    stack: Stack, body: bytes, headers: JSON, *, in_base64: bool = False
) -> Answer:
    request = api_request("POST", PATH, body=body, headers=headers, in_base64=in_base64)
    return stack.ask(request)


def _with(**changes: Callable[[str], str | None]) -> Callable[[Stack], Answer]:
    """A good delivery, but for some of its headers. None takes one away."""

    def send(stack: Stack) -> Answer:
        body = _event(stack)
        headers: JSON = stack.clerk.sign(body)
        for name, change in changes.items():
            header = f"svix-{name}"
            headers[header] = change(headers[header])
        given = {name: text for name, text in headers.items() if text is not None}
        return _delivered(stack, body, given)

    return send


def _sent_as(change: Callable[[bytes], bytes]) -> Callable[[Stack], Answer]:
    """A good signature over another body than the one that is sent."""

    def send(stack: Stack) -> Answer:
        body = _event(stack)
        return _delivered(stack, change(body), stack.clerk.sign(body))

    return send


def _signed_then(seconds: float) -> Callable[[Stack], Answer]:
    def send(stack: Stack) -> Answer:
        body = _event(stack)
        headers = stack.clerk.sign(body, timestamp=time.time() + seconds)
        return _delivered(stack, body, headers)

    return send


def _signed_with(secret: str) -> Callable[[Stack], Answer]:
    def send(stack: Stack) -> Answer:
        body, now = _event(stack), str(int(time.time()))
        return _delivered(stack, body, sign_by_hand(secret, body, timestamp=now))

    return send


def _digest_of(
    content: Callable[[str, str, bytes], bytes],
) -> Callable[[Stack], Answer]:
    """The right secret, over something else than id, timestamp and body."""

    def send(stack: Stack) -> Answer:
        body, now = _event(stack), str(int(time.time()))
        secret = stack.clerk.webhook_signing_secret.removeprefix("whsec_")
        text = content("msg_1", now, body)
        digest = hmac.new(base64.b64decode(secret), text, hashlib.sha256).digest()
        headers = {
            "svix-id": "msg_1",
            "svix-timestamp": now,
            "svix-signature": f"v1,{base64.b64encode(digest).decode()}",
        }
        return _delivered(stack, body, headers)

    return send


def _twice(stack: Stack) -> Answer:
    body = _event(stack)
    headers = stack.clerk.sign(body)
    _delivered(stack, body, headers)
    return _delivered(stack, body, headers)


def _in_base64(stack: Stack) -> Answer:
    body = _event(stack)
    return _delivered(stack, body, stack.clerk.sign(body), in_base64=True)


def _base64_signed_as_such(stack: Stack) -> Answer:
    body = base64.b64encode(_event(stack))
    return _delivered(stack, body, stack.clerk.sign(body))


def _null(_: str) -> None:
    return None


SIGNATURES: Final = [
    Attack("no signature", _with(signature=_null), 400),
    Attack("no id", _with(id=_null), 400),
    Attack("no timestamp", _with(timestamp=_null), 400),
    Attack("another secret", _signed_with(OTHER_SECRET), 400),
    Attack("the empty secret", _signed_with("whsec_"), 400),
    Attack("replayed after 5 minutes", _signed_then(-301), 400),
    Attack("dated 5 minutes ahead", _signed_then(301), 400),
    Attack("replayed at once: changes nothing", _twice, 200),
    Attack("replayed under another id", _with(id=lambda _: "msg_other"), 400),
    Attack(
        "replayed with a fresh timestamp",
        _with(timestamp=lambda text: str(int(text) + 1)),
        400,
    ),
    Attack(
        "v1a, the asymmetric version",
        _with(signature=lambda text: text.replace("v1,", "v1a,")),
        400,
    ),
    Attack("v2", _with(signature=lambda text: text.replace("v1,", "v2,")), 400),
    Attack("without a version", _with(signature=lambda text: text[3:]), 400),
    Attack("cut to 8 characters", _with(signature=lambda text: text[:11]), 400),
    Attack("cut by its last byte", _with(signature=lambda text: text[:-4]), 400),
    Attack("of another case", _with(signature=lambda t: f"v1,{t[3:].swapcase()}"), 400),
    Attack("a bad one before the good one", _with(signature="v1,AAAA {}".format), 200),
    Attack(
        "the good one as the 11th",
        _with(signature=lambda text: "v1,AAAA " * 10 + text),
        400,
    ),
    Attack(
        "a thousand of them",
        _with(signature=lambda _: " ".join(["v1,AAAA"] * 1000)),
        400,
    ),
    Attack("100 KB of it", _with(signature=lambda _: "v1," + "A" * 100_000), 400),
    Attack("100 KB of id", _with(id=lambda _: "m" * 100_000), 400),
    Attack("a line break in the id", _with(id="{}\r\nset-cookie: a=b".format), 400),
    Attack("a line break after the good one", _with(signature="{}\r\n x".format), 200),
    Attack("a dot moved from id to timestamp", _with(id="{}.1".format), 400),
    Attack("a timestamp of other digits", _with(timestamp=lambda _: "١٧٦٧"), 400),
    Attack("a timestamp in milliseconds", _with(timestamp="{}000".format), 400),
    Attack(
        "the body written anew",
        _sent_as(lambda body: json.dumps(json.loads(body), indent=1).encode()),
        400,
    ),
    Attack("a space after the body", _sent_as(lambda body: body + b" "), 400),
    Attack("a byte order mark before it", _sent_as(lambda b: b"\xef\xbb\xbf" + b), 400),
    Attack("no body", _sent_as(lambda _: b""), 400),
    Attack("the body in base64, as Lambda may send it", _in_base64, 200),
    Attack("base64 that was signed as such", _base64_signed_as_such, 400),
    Attack("a signature of the body alone", _digest_of(lambda _i, _t, b: b), 400),
    Attack(
        "a signature of timestamp and body",
        _digest_of(lambda _i, at, body: f"{at}.".encode() + body),
        400,
    ),
]


def _token(
    forge: Callable[..., str], key: rsa.RSAPrivateKey
) -> Callable[[Stack], Answer]:
    def send(stack: Stack) -> Answer:
        token = forge(stack.self_syncs, key)
        headers = {"authorization": f"Bearer {token}"}
        return stack.ask(api_request("GET", ME, headers=headers))

    return send


def _carried(
    carry: Callable[[str, str], JSON], path: str = ME
) -> Callable[[Stack], Answer]:
    """A good token and a bad one, in a request of that form."""

    def send(stack: Stack) -> Answer:
        good, bad = stack.self_syncs.token(), stack.self_syncs.token(sub="user_2")[:-9]
        return stack.ask(
            api_request("POST" if path == SYNC else "GET", path, **carry(good, bad))
        )

    return send


def _bearer(text: str) -> Callable[[str, str], JSON]:
    return lambda good, bad: {
        "headers": {"authorization": text.replace("GOOD", good).replace("BAD", bad)}
    }


def _cookies(*texts: str) -> Callable[[str, str], JSON]:
    return lambda good, bad: {
        "cookies": [text.replace("GOOD", good).replace("BAD", bad) for text in texts]
    }


CARRIED: Final = [
    Attack("a good token", _carried(_bearer("Bearer GOOD")), 200),
    Attack("nothing", _carried(lambda *_: {}), 401),
    Attack("Bearer twice", _carried(_bearer("Bearer Bearer GOOD")), 401),
    Attack("two headers, as API Gateway joins them",
           _carried(_bearer("Bearer GOOD,Bearer BAD")), 401),
    Attack("a bad token, then a good one", _carried(_bearer("Bearer BAD GOOD")), 401),
    Attack("Basic", _carried(_bearer("Basic GOOD")), 401),
    Attack("a look-alike scheme", _carried(_bearer("B\u0435arer GOOD")), 401),
    Attack("a line break inside", _carried(_bearer("Bearer GOOD\r\nx-admin: 1")), 401),
    Attack("in quotes", _carried(_bearer('Bearer "GOOD"')), 401),
    Attack("a good cookie", _carried(_cookies("__session=GOOD")), 200),
    Attack("a bad cookie before the good one",
           _carried(_cookies("__session=BAD", "__session=GOOD")), 401),
    Attack("a bad cookie after the good one",
           _carried(_cookies("__session=GOOD", "__session=BAD")), 200),
    Attack("a cookie of another case", _carried(_cookies("__SESSION=GOOD")), 401),
    Attack("a cookie of another name", _carried(_cookies("__session_x=GOOD")), 401),
    Attack("a bad header beside a good cookie",
           _carried(lambda g, b: _bearer("Bearer BAD")(g, b)
                    | _cookies("__session=GOOD")(g, b)), 401),
    Attack("somebody else's id in the body",
           _carried(lambda good, _: {
               "headers": {"authorization": f"Bearer {good}"},
               "body": b'{"userId": "user_2", "email": "a@b"}',
           }, SYNC), 403),
    Attack("the token in the body alone",
           _carried(lambda good, _: {"body": json.dumps({"token": good}).encode()},
                    SYNC), 401),
]  # fmt: skip


def tokens(key: rsa.RSAPrivateKey) -> list[Attack]:
    """Those of `forged`; the key is anybody's."""
    return [Attack(name, _token(forge, key), 401) for name, forge in FORGED.items()]
