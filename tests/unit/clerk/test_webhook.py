"""Webhook events as they are read, and ids of deliveries as they are logged."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerksync.clerk.user import parse_user
from clerksync.clerk.webhook import (
    WebhookEvent,
    message_id,
    parse_event,
)
from clerksync.errors import (
    InvalidPayloadError,
)
from tests.people import user_id, user_json


def event(type_: str, data: Any, **fields: Any) -> bytes:
    return json.dumps({"type": type_, "data": data} | fields).encode()


@pytest.mark.parametrize("type_", ["user.created", "user.updated"])
def test_a_written_user_is_read(type_: str) -> None:
    """Both events carry the whole user."""
    user = parse_user(user_json())
    assert parse_event(event(type_, user_json())) == WebhookEvent(type_, user=user)


def test_a_deletion_is_read() -> None:
    """It carries no more than the id."""
    data = {"object": "user", "id": user_id(1), "deleted": True}
    expected = WebhookEvent("user.deleted", deleted_id=user_id(1))
    assert parse_event(event("user.deleted", data)) == expected


@pytest.mark.parametrize(
    "type_",
    [
        "session.created",
        "user.createdAtEdge",
        "USER.CREATED",
        "user",
        "",
        "userXdeleted",
    ],
)
@pytest.mark.parametrize("data", [None, [], {"id": "ses_1"}], ids=repr)
def test_data_of_another_type_is_left_unread(type_: str, data: Any) -> None:
    """What we do not know cannot be malformed."""
    assert parse_event(event(type_, data)) == WebhookEvent(type_)


@pytest.mark.parametrize(
    ("said", "expected", "good"),
    [
        ("ins_1", None, True),
        (None, None, True),
        ("ins_1", "ins_1", True),
        ("ins_2", "ins_1", False),
        (None, "ins_1", False),
        (["ins_1"], "ins_1", False),
    ],
    ids=repr,
)
def test_the_instance_is_compared_where_one_is_expected(
    said: Any, expected: str | None, *, good: bool
) -> None:
    """An event that does not say where it comes from is then refused too."""
    body = event("user.updated", user_json(), instance_id=said)
    if good:
        assert parse_event(body, instance_id=expected).user is not None
        return
    with pytest.raises(InvalidPayloadError, match="CLERKSYNC_INSTANCE_ID"):
        parse_event(body, instance_id=expected)


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (1_750_000_000_000, 1_750_000_000_000),
        (1_750_000_000, 1_750_000_000_000),
        (10**309, None),
        (-1, None),
        (True, None),
        ("1750000000000", None),
        (1.5, None),
    ],
    ids=repr,
)
def test_the_time_of_an_event_is_read_or_left_out(said: Any, read: int | None) -> None:
    """It only tells how late the delivery is: no value of it may cost the event."""
    body = event("user.updated", user_json(), timestamp=said)
    assert parse_event(body).occurred_at == read


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "updated_at", "a"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    type_=st.sampled_from(["user.created", "user.updated", "user.deleted"]), data=_JSON
)
def test_any_data_is_read_or_refused_as_our_error(type_: str, data: Any) -> None:
    """No JSON, however odd, raises anything else."""
    try:
        read = parse_event(event(type_, data))
    except InvalidPayloadError:
        return
    assert read.type == type_


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_as_our_error(body: bytes) -> None:
    """Nor do any bytes."""
    with pytest.raises(InvalidPayloadError):
        parse_event(body)


@pytest.mark.parametrize(
    ("sent", "logged"),
    [
        ("msg_2xYz-1", "msg_2xYz-1"),
        ("", None),
        ("msg_1\nlevel=ERROR", None),
        ("x" * 81, None),
        ("ada@example.com", None),
    ],
)
def test_only_what_looks_like_a_delivery_id_reaches_the_log(
    sent: str, logged: str | None
) -> None:
    """A stranger chooses the header before any signature is checked."""
    assert message_id({"svix-id": sent}) == logged
