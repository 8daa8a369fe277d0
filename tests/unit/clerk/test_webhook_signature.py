"""Signatures of webhooks, held against Svix's own verifier."""

import time
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from svix.webhooks import Webhook, WebhookVerificationError

from clerksync.clerk.webhook import (
    verify_signature,
)
from clerksync.errors import (
    InvalidSettingError,
    InvalidSignatureError,
)

SECRET = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"
OTHER = "whsec_b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3Ro"
BODY = b'{"type": "user.created"}'


def signed(
    body: bytes = BODY, *, secret: str = SECRET, id_: str = "msg_1", seconds: float = 0
) -> dict[str, str]:
    """Svix's own signature, made some seconds from now."""
    at = datetime.fromtimestamp(int(time.time() + seconds), UTC)
    return {
        "svix-id": id_,
        "svix-timestamp": str(int(at.timestamp())),
        "svix-signature": Webhook(secret).sign(id_, at, body.decode()),
    }


def accepts(body: bytes, headers: dict[str, str], *secrets: str) -> bool:
    """Whether we do. Anything else than our refusal is an error of ours."""
    try:
        verify_signature(body, headers, secrets or (SECRET,))
    except InvalidSignatureError:
        return False
    return True


def svix_accepts(body: bytes, headers: dict[str, str]) -> bool:
    """Whether Svix's verifier does; it raises ValueErrors too."""
    try:
        Webhook(SECRET).verify(body, headers)
    except (WebhookVerificationError, ValueError):
        return False
    return True


# The oracle.


BODIES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60).map(str.encode),
    st.just(BODY),
)
IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
# Far enough from ±5 minutes for both to look at the same side of it.
SECONDS = st.sampled_from([-86_400, -310, -290, 0, 290, 310, 86_400])


@given(body=BODIES, id_=IDS, seconds=SECONDS, secret=st.sampled_from([SECRET, OTHER]))
@example(body=BODY, id_="msg_1", seconds=0, secret=SECRET)
@example(body=BODY, id_=" ", seconds=0, secret=SECRET)
@example(body=b"", id_="msg_1", seconds=0, secret=SECRET)
def test_what_svix_signs_is_judged_as_svix_judges_it(
    body: bytes, id_: str, seconds: int, secret: str
) -> None:
    """The right secret within five minutes is accepted, everything else refused."""
    headers = signed(body, secret=secret, id_=id_, seconds=seconds)
    expected = secret == SECRET and abs(seconds) < 300
    assert svix_accepts(body, headers) == expected
    assert accepts(body, headers) == expected


@given(
    change=st.sampled_from(["svix-id", "svix-timestamp", "svix-signature", "body"]),
    position=st.integers(0, 200),
    letter=st.sampled_from("0aA=+/,. v1é\n\0"),
    insert=st.booleans(),
)
@example(change="svix-signature", position=0, letter=" ", insert=True)
@example(change="svix-timestamp", position=10, letter="\n", insert=True)
@example(change="svix-timestamp", position=10, letter=" ", insert=True)
def test_an_altered_delivery_is_judged_as_svix_judges_it(
    change: str, position: int, letter: str, *, insert: bool
) -> None:
    """One character more or another one, anywhere."""
    headers = signed()
    text = BODY.decode() if change == "body" else headers[change]
    position = min(position, len(text))
    rest = text[position if insert else position + 1 :]
    altered = text[:position] + letter + rest
    body = altered.encode() if change == "body" else BODY
    if change != "body":
        headers[change] = altered
    if len(headers["svix-signature"].split(" ")) == 1:
        assert accepts(body, headers) == svix_accepts(body, headers)
    elif svix_accepts(body, headers):
        # Of several signatures we take each by itself: never fewer than Svix.
        assert accepts(body, headers)


_ANY_TEXT = st.text(max_size=40)
_SIGNATURES = st.lists(
    st.one_of(_ANY_TEXT, st.text("v1,=+/AQ ", max_size=20), st.just("v1,AAAA")),
    max_size=4,
).map(" ".join)
_TIMES = st.one_of(
    _ANY_TEXT,
    st.floats().map(str),
    st.integers().map(str),
    st.just(str(int(time.time()))),
)


@given(body=st.binary(max_size=60), id_=_ANY_TEXT, at=_TIMES, signature=_SIGNATURES)
@example(body=b"\xff", id_="a", at=str(int(time.time())), signature="v1,AAAA")
@example(body=b"", id_="\ud800", at=str(int(time.time())), signature="v1,AAAA")
@example(body=b"", id_="a", at=str(int(time.time())), signature="\ud800,\ud800")
def test_whatever_a_stranger_sends_is_refused_as_our_error(
    body: bytes, id_: str, at: str, signature: str
) -> None:
    """Any text in the headers and any bytes in the body: no other exception."""
    headers = {"svix-id": id_, "svix-timestamp": at, "svix-signature": signature}
    assert not accepts(body, headers)


@given(headers=st.dictionaries(_ANY_TEXT, _ANY_TEXT, max_size=4))
def test_any_other_headers_are_refused_as_our_error(headers: dict[str, str]) -> None:
    """Without the three there is nothing to verify."""
    assert not accepts(BODY, headers)


# Several signatures, several secrets.


@pytest.mark.parametrize(
    "other", ["v1,AAAA", "v1,", "v1", "", "v2,AAAA", "v1,%%%", "v1,é", "a,b,c"]
)
@pytest.mark.parametrize("first", [True, False], ids=["first", "last"])
def test_one_good_signature_is_enough(other: str, *, first: bool) -> None:
    """Wherever it stands and whatever stands beside it."""
    headers = signed()
    good = headers["svix-signature"]
    both = [good, other] if first else [other, good]
    assert accepts(BODY, headers | {"svix-signature": " ".join(both)})


@pytest.mark.parametrize(
    "secrets", [[SECRET, OTHER], [OTHER, SECRET]], ids=["1st", "2nd"]
)
def test_one_right_secret_is_enough(secrets: list[str]) -> None:
    """During a rotation both are known, and either may have signed."""
    assert accepts(BODY, signed(), *secrets)


def test_without_any_secret_nothing_is_accepted() -> None:
    """An empty list of secrets is no reason to trust everybody."""
    with pytest.raises(InvalidSignatureError):
        verify_signature(BODY, signed(), [])


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_=", "a", "é", "whsec_\ud800"])
def test_a_secret_that_is_none_is_an_error_of_the_setting(secret: str) -> None:
    """Named, and not shown."""
    with pytest.raises(InvalidSettingError, match="CLERK_WEBHOOK_SIGNING_SECRET"):
        verify_signature(BODY, signed(), [secret])


def test_the_headers_of_the_standard_will_do() -> None:
    """Svix sends the same under `webhook-…` for those who ask for it."""
    headers = {n.replace("svix", "webhook"): v for n, v in signed().items()}
    assert accepts(BODY, headers)
    assert svix_accepts(BODY, headers)


@pytest.mark.parametrize("missing", ["svix-id", "svix-timestamp", "svix-signature"])
def test_each_header_is_needed(missing: str) -> None:
    """The refusal says which ones there should be."""
    headers = signed()
    del headers[missing]
    with pytest.raises(InvalidSignatureError, match="svix-id, svix-timestamp and"):
        verify_signature(BODY, headers, [SECRET])
