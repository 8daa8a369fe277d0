"""JSON of Clerk's: NUL characters, bodies that are none, pages of users."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerksync.clerk.user import (
    parse_json,
    parse_page,
    without_nul,
)
from clerksync.clerk.webhook import parse_event
from clerksync.errors import InvalidPayloadError
from tests.people import user_id, user_json


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (rb'"a\u0000b"', "ab"),
        (rb'"\u0000\u0000\u0000"', ""),
        (rb'"\\u0000"', r"\u0000"),
        (rb'"\\\u0000"', "\\"),
        (rb'"\\\\u0000"', r"\\u0000"),
        (rb'"\\\\\u0000"', "\\\\"),
        (rb'"\\\u0000\\u0000\u0000"', "\\" + r"\u0000"),
        (rb'"\u0000u0000"', "u0000"),
        (rb'"\"\u0000"', '"'),
        (rb'"\n\u0000\u0001"', "\n\x01"),
        (rb'{"a\u0000": "\u0000"}', {"a": ""}),
    ],
    ids=lambda value: value.decode() if isinstance(value, bytes) else "",
)
def test_escaped_nul_characters_are_left_out(body: bytes, value: Any) -> None:
    """A backslash that is itself escaped is not the beginning of one."""
    assert parse_json(body) == value


_TEXT = st.text(st.sampled_from('\0\\u0"a\n\x01é'), max_size=12)


@given(st.recursive(_TEXT, lambda inner: st.lists(inner, max_size=3), max_leaves=6))
def test_nul_characters_and_nothing_else_are_left_out(value: Any) -> None:
    """Held against taking them out of the decoded texts."""

    def stripped(value: Any) -> Any:
        if isinstance(value, str):
            return value.replace("\0", "")
        return [stripped(item) for item in value]

    assert parse_json(json.dumps(value).encode()) == stripped(value)


def test_a_body_without_nul_is_not_copied() -> None:
    """A page of 500 users is a megabyte."""
    body = json.dumps(user_json()).encode()
    assert without_nul(body) is body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"NaN",
        b"Infinity",
        b"\xff",
        b'"\x00"',
        b'"\\ud800"',
        b"[" * 10**5,
        b"01",
    ],
    ids=lambda body: ascii(body[:12]),
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    """As an error of ours, of which the message shows nothing of the body."""
    with pytest.raises(InvalidPayloadError, match=r"^The body is not valid JSON\.$"):
        parse_json(body)


# Pages.


def page(*users: Any) -> bytes:
    return json.dumps(users).encode()


def test_a_page_is_read_in_its_order() -> None:
    """All users, and nobody undecodable."""
    read = parse_page(page(*(user_json(n) for n in range(5))))
    assert [user.id for user in read.users] == [user_id(n) for n in range(5)]
    assert read.ids == [user_id(n) for n in range(5)]
    assert (len(read), len(read.unreadable)) == (5, 0)


@pytest.mark.parametrize(
    ("bad", "clerk_id"),
    [
        (user_json(2, updated_at=None), user_id(2)),
        (user_json(2, first_name="\ud800"), user_id(2)),
        (user_json(2, email_addresses=[{}]), user_id(2)),
        ({"id": user_id(2)}, user_id(2)),
        ({"id": 2}, None),
        ({"id": "user_\ud800"}, None),
        ({}, None),
        (None, None),
        ("user", None),
        ([], None),
    ],
    ids=[
        "no version",
        "a lone surrogate",
        "a bad email",
        "an id only",
        "a number as id",
        "an id that Postgres cannot hold",
        "empty",
        "null",
        "a text",
        "a list",
    ],
)
def test_a_bad_user_does_not_cost_the_page(bad: Any, clerk_id: str | None) -> None:
    """The others are read; of this one the id, where there is one."""
    read = parse_page(page(user_json(1), bad, user_json(3)))
    assert [user.id for user in read.users] == [user_id(1), user_id(3)]
    assert read.ids == [i for i in (user_id(1), clerk_id, user_id(3)) if i]
    assert (len(read), len(read.unreadable)) == (3, 1)


def test_a_user_with_metadata_nested_deep_is_read() -> None:
    """Whoever may write unsafe metadata in the browser could keep runs incomplete."""
    deep: Any = 0
    for _ in range(500):
        deep = [deep]
    user = user_json(2, unsafe_metadata={"deep": deep})
    assert parse_page(page(user_json(1), user)).unreadable == []
    body = json.dumps({"type": "user.created", "data": user}).encode()
    assert parse_event(body).user is not None


def test_a_page_has_no_nul_characters() -> None:
    """Whether or not all of its users can be read."""
    odd = user_json(1, first_name="No\0or")
    for body in (page(odd), page(odd, {})):
        assert parse_page(body).users[0].first_name == "Noor"


@pytest.mark.parametrize(
    "body",
    [b"", b"[", b"{}", b"null", b'{"data": []}', b"\xff", b"[" * 100_000, b"<html>"],
    ids=lambda body: ascii(body[:12]),
)
def test_what_is_no_page_is_refused(body: bytes) -> None:
    """An empty listing is one thing, an unreadable one another."""
    with pytest.raises(InvalidPayloadError):
        parse_page(body)


def test_an_empty_page_is_a_page() -> None:
    """The listing of an instance without users."""
    assert len(parse_page(b"[]")) == 0
