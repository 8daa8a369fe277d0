"""Requests as strangers may send them: near the right ones, and far away."""

import json
import time
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from local.stub_clerk.webhooks.events import signed_headers
from tests.doors import api_request, sign_by_hand
from tests.integration.functions.self_sync.forged import FORGED
from tests.integration.functions.webhook.door import OTHER_SECRET
from tests.integration.functions.webhook.door import PATH as WEBHOOK
from tests.people import user_id, user_json
from tests.strangers.description import body_fields, routes
from tests.strangers.stack import Stack

_OTHERS_KEY: Final = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
_FIELDS: Final = sorted({*body_fields(), *user_json()})
_HEADERS: Final = ("svix-id", "svix-timestamp", "svix-signature")
_LARGE: Final = 100_000

# Lambda hands headers over as text; a lone surrogate can be in its JSON.
TEXTS: Final = st.text(st.characters(codec=None, exclude_categories=()), max_size=30)
SHARP: Final = st.sampled_from(
    [
        "'; DROP TABLE users; --",
        "\r\nset-cookie: a=b",
        '"}\n{"level":"ERROR"',
        "%s%n{0}${x}",
        "\\N\t\\.",
        "\0",
        "\u202e\u0000\ud800",
        "..%2f..%2fetc",
        "a" * _LARGE,
    ]
)
_VALUES: Final[SearchStrategy[Any]] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | SHARP,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3)
    ),
    max_leaves=5,
)
_OBJECTS: Final = st.dictionaries(st.sampled_from(_FIELDS) | TEXTS, _VALUES, max_size=5)


@st.composite
def bodies(draw: DrawFn) -> bytes:
    """Bytes, JSON of any kind, or an event in which some things are not as usual."""
    kind = draw(st.sampled_from(["bytes", "json", "event", "sync"]))
    if kind == "bytes":
        return draw(st.binary(max_size=200))
    value = draw(_VALUES)
    if kind == "event":
        value = {"type": "user.updated", "data": user_json() | draw(_OBJECTS)}
        value |= draw(_OBJECTS)
    if kind == "sync":
        value = {"userId": user_id(1), "email": "a@b"} | draw(_OBJECTS)
    return json.dumps(value).encode()


@st.composite
def spoilt(draw: DrawFn, text: str) -> str:
    """The text with a part replaced, taken out, or repeated."""
    at = draw(st.integers(0, len(text)))
    size = draw(st.integers(0, 8))
    put = draw(st.sampled_from(["", text[at : at + size] * 2]) | TEXTS)
    return text[:at] + put + text[at + size :]


@st.composite
def tokens(draw: DrawFn, stack: Stack) -> str:
    """Forged, spoilt, or of no form at all. Never a good one."""
    kind = draw(st.sampled_from(["forged", "spoilt", "text", "parts"]))
    if kind == "forged":
        name = draw(st.sampled_from(sorted(FORGED)))
        return FORGED[name](stack.self_syncs, _OTHERS_KEY)
    good = stack.self_syncs.token()
    if kind == "parts":
        other = stack.self_syncs.token(key=_OTHERS_KEY).split(".")
        pairs = zip(good.split("."), other, strict=True)
        mixed = [draw(st.sampled_from(pair)) for pair in pairs]
        # Head and claims of the good one under its own signature would be it.
        return ".".join([*mixed[:2], other[2]])
    if kind == "spoilt":
        head, claims, signature = good.split(".")
        # The last letter of a signature carries bits that nobody reads.
        broken = draw(spoilt(f"{head}.{claims}").filter(f"{head}.{claims}".__ne__))
        return f"{broken}.{signature}"
    return draw(TEXTS | SHARP)


@st.composite
def signatures(draw: DrawFn, stack: Stack, body: bytes) -> dict[str, str]:
    """Headers of a delivery, none of which fits."""
    now = str(int(time.time()))
    kind = draw(st.sampled_from(["text", "other secret", "stale", "other body"]))
    secret = stack.clerk.webhook_signing_secret
    if kind == "other secret":
        headers = sign_by_hand(OTHER_SECRET, body, timestamp=now)
    elif kind == "stale":
        then = str(int(now) - draw(st.sampled_from([-86_400, -301, 301, 10**9])))
        headers = sign_by_hand(secret, body, timestamp=then)
    elif kind == "other body":
        headers = sign_by_hand(secret, body + b" ", timestamp=now)
    else:
        good = signed_headers(secret, b"another one")
        headers = {name: draw(spoilt(good[name]) | SHARP) for name in _HEADERS}
    for name in draw(st.sets(st.sampled_from(_HEADERS), max_size=1)):
        del headers[name]
    return headers


@st.composite
def strangers(draw: DrawFn, stack: Stack) -> list[dict[str, Any]]:
    """What one stranger brings, at every door: the token in header and cookie, and the
    delivery in plain text and in base64."""
    token, body, query = draw(tokens(stack)), draw(bodies()), draw(TEXTS | SHARP)
    headers = draw(st.dictionaries(TEXTS, TEXTS, max_size=2))
    scheme = draw(st.sampled_from(["Bearer"] * 3) | TEXTS)
    cookies = draw(st.lists(TEXTS | SHARP, max_size=2))
    events = [
        api_request(method, path, body=body if method == "POST" else b"", **token_in)
        for method, path in routes()
        if path != WEBHOOK
        for token_in in (
            {"headers": headers | {"authorization": f"{scheme} {token}"}},
            {"headers": headers, "cookies": [*cookies, f"__session={token}"]},
        )
    ]
    headers |= draw(signatures(stack, body))
    events += [
        api_request("POST", WEBHOOK, body=body, headers=headers, in_base64=in_base64)
        for in_base64 in (False, True)
    ]
    return [event | {"rawQueryString": query} for event in events]


@st.composite
def signed(draw: DrawFn, stack: Stack) -> dict[str, Any]:
    """A delivery that Clerk has signed, of a user who writes whatever comes to mind."""
    body = draw(bodies())
    if draw(st.booleans()):
        kind = draw(st.sampled_from(["user.created", "user.updated", "user.deleted"]))
        user = user_json(draw(st.integers(1, 3)), version=draw(st.integers(0, 99)))
        event = stack.clerk.event(kind, user | draw(_OBJECTS))
        body = json.dumps(event).encode()
    now = str(int(time.time()))
    secret = stack.clerk.webhook_signing_secret
    headers = sign_by_hand(secret, body, timestamp=now)
    return api_request("POST", WEBHOOK, body=body, headers=headers)
