"""Users as Clerk gives them: what is read, what is left out, what is refused."""

from typing import Any

import pytest

from clerksync.clerk.user import (
    is_clerk_id,
    parse_user,
)
from clerksync.errors import InvalidPayloadError
from clerksync.postgres.database import Database
from clerksync.write.user_batches import UserBatches
from tests.people import EPOCH_MS, a_user, user_json


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
    assert getattr(parse_user(user_json() | {field: given}), field) == ms


def test_only_the_version_is_required() -> None:
    """A user is an id and an `updated_at`; all else can be missing."""
    user = parse_user({"id": "user_1", "updated_at": EPOCH_MS})
    assert (user.email, user.name, user.created_at, user.banned) == (None,) * 4
    assert user.public_metadata is None


def test_no_metadata_is_empty_metadata() -> None:
    """So that the column compares equal."""
    users = [a_user(public_metadata=None), a_user(public_metadata={})]
    null, empty = UserBatches(Database(str)).rows.prepare(users).rows
    assert null == empty


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
