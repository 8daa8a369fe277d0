"""Users as Clerk gives them: what is read, what is left out, what is refused."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerksync.clerk_user import (
    is_clerk_id,
    parse_json,
    parse_user,
    parse_users,
    without_nul,
)
from clerksync.errors import InvalidPayloadError
from tests.people import EPOCH_MS, a_user, user_id, user_json

# Email and phone.


def addresses(*emails: str) -> list[dict[str, str]]:
    return [{"id": f"idn_{n}", "email_address": e} for n, e in enumerate(emails)]


@pytest.mark.parametrize("place", range(3))
def test_the_primary_email_is_the_one_that_is_named(place: int) -> None:
    """Not the first, not the last."""
    user = a_user(
        email_addresses=addresses("a@x.test", "b@x.test", "c@x.test"),
        primary_email_address_id=f"idn_{place}",
    )
    assert user.email == f"{'abc'[place]}@x.test"


@pytest.mark.parametrize(
    "fields",
    [
        {"primary_email_address_id": None},
        {"primary_email_address_id": "idn_gone"},
        {"email_addresses": []},
        {"email_addresses": None},
        {"email_addresses": [{"id": "idn_primary", "email_address": ""}]},
    ],
    ids=["none named", "named and gone", "no addresses", "null", "empty"],
)
def test_without_a_primary_email_there_is_none(fields: dict[str, Any]) -> None:
    """An address that is not the primary one does not stand in for it."""
    assert a_user(**fields).email is None


def test_the_primary_phone_number_is_the_one_that_is_named() -> None:
    """As with emails."""
    numbers = [{"id": f"idn_{n}", "phone_number": f"+1500555000{n}"} for n in range(3)]
    named = a_user(phone_numbers=numbers, primary_phone_number_id="idn_1")
    assert named.phone_number == "+15005550001"
    assert a_user(phone_numbers=numbers).phone_number is None
    assert a_user(phone_numbers=None).phone_number is None


# The name.


@pytest.mark.parametrize(
    ("first", "last", "username", "email", "name"),
    [
        ("Noor", "Castell", "nc", "n@x.test", "Noor Castell"),
        ("Noor", None, "nc", "n@x.test", "Noor"),
        (None, "Castell", "nc", "n@x.test", "Castell"),
        ("", "Castell", "nc", "n@x.test", "Castell"),
        (None, None, "nc", "n@x.test", "nc"),
        ("", "", "nc", "n@x.test", "nc"),
        (None, None, None, "n.c+x@x.test", "n.c+x"),
        (None, None, "", "n@x.test", "n"),
        (None, None, "nc", None, "nc"),
        (None, None, None, None, None),
        ("", "", "", None, None),
    ],
)
def test_the_name_is_the_best_there_is(
    first: str | None,
    last: str | None,
    username: str | None,
    email: str | None,
    name: str | None,
) -> None:
    """First and last name, else username, else the email up to the @."""
    user = a_user(email=email, first_name=first, last_name=last, username=username)
    assert user.name == name


# Times.


@pytest.mark.parametrize(
    ("given", "ms"),
    [
        (EPOCH_MS, EPOCH_MS),
        (EPOCH_MS // 1000, EPOCH_MS),
        (EPOCH_MS + 7, EPOCH_MS + 7),
        (1_000_000_000_000, 1_000_000_000_000),
        (1_000_000_000, 1_000_000_000_000),
        (4_102_444_800_000, 4_102_444_800_000),
        (4_102_444_800, 4_102_444_800_000),
    ],
    ids=["ms", "s", "odd ms", "2001 ms", "2001 s", "2100 ms", "2100 s"],
)
@pytest.mark.parametrize("field", ["created_at", "updated_at"])
def test_milliseconds_and_seconds_are_told_apart(
    field: str, given: int, ms: int
) -> None:
    """By their magnitude, to the millisecond."""
    moment = getattr(parse_user(user_json() | {field: given}), field)
    assert moment == datetime.fromtimestamp(ms / 1000, UTC)
    assert moment.tzinfo is not None


def test_only_the_version_is_required() -> None:
    """A user is an id and an `updated_at`; all else can be missing."""
    user = parse_user({"id": "user_1", "updated_at": EPOCH_MS})
    assert (user.email, user.name, user.created_at, user.banned) == (None,) * 4
    assert user.public_metadata == {}


@pytest.mark.parametrize("metadata", [None, {}], ids=["null", "empty"])
def test_no_metadata_is_empty_metadata(metadata: Any) -> None:
    """So that the column compares equal."""
    assert a_user(public_metadata=metadata).public_metadata == {}


def test_a_refusal_names_the_fields_and_no_value() -> None:
    """The message is logged, and says where to look."""
    data = user_json(first_name=["Noor"], updated_at="yesterday", last_name={"a": 1})
    with pytest.raises(InvalidPayloadError) as raised:
        parse_user(data)
    assert str(raised.value) == "Not a Clerk user: first_name, last_name, updated_at."
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("data", [None, [], "user_1", 17, {}], ids=repr)
def test_what_is_no_user_is_refused(data: Any) -> None:
    """As an error of ours, whatever it is."""
    with pytest.raises(InvalidPayloadError, match="Not a Clerk user"):
        parse_user(data)


# Ids.


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("user_2g7np7Hrk0SN6kj5EDMLDaKNL0S", True),
        ("user_a_b", True),
        ("user_" + "a" * 250, True),
        ("user_" + "a" * 251, False),
        ("user_", False),
        ("user_a\n", False),
        ("\nuser_a", False),
        ("user_a-b", False),
        ("user_é", False),
        ("user_٣", False),
        ("user_a/b", False),
        ("User_a", False),
        ("org_a", False),
        ("", False),
        (None, False),
        (1, False),
        (["user_a"], False),
        (b"user_a", False),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_an_id_is_recognised(value: object, *, good: bool) -> None:
    """The same by itself as within a user."""
    assert is_clerk_id(value) is good
    try:
        parse_user({"id": value, "updated_at": EPOCH_MS})
    except InvalidPayloadError:
        assert not good
    else:
        assert good or isinstance(value, bytes)


# NUL characters.


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
    users, undecodable = parse_users(page(*(user_json(n) for n in range(5))))
    assert [user.id for user in users] == [user_id(n) for n in range(5)]
    assert undecodable == []


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
    users, undecodable = parse_users(page(user_json(1), bad, user_json(3)))
    assert [user.id for user in users] == [user_id(1), user_id(3)]
    assert undecodable == [clerk_id]


def test_a_page_has_no_nul_characters() -> None:
    """Whether or not all of its users can be read."""
    odd = user_json(1, first_name="No\0or")
    for body in (page(odd), page(odd, {})):
        users, _ = parse_users(body)
        assert users[0].first_name == "Noor"


@pytest.mark.parametrize(
    "body",
    [b"", b"[", b"{}", b"null", b'{"data": []}', b"\xff", b"[" * 100_000, b"<html>"],
    ids=lambda body: ascii(body[:12]),
)
def test_what_is_no_page_is_refused(body: bytes) -> None:
    """An empty listing is one thing, an unreadable one another."""
    with pytest.raises(InvalidPayloadError):
        parse_users(body)


def test_an_empty_page_is_a_page() -> None:
    """The listing of an instance without users."""
    assert parse_users(b"[]") == ([], [])
