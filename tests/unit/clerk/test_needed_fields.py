"""Odd values at Clerk: what nobody needs costs nobody the sync."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from clerksync.clerk.user import FURTHER_FIELDS, ClerkUser, parse_page, parse_user
from clerksync.errors import InvalidPayloadError
from clerksync.mapping.file import parse
from tests.people import EPOCH_MS, user_id, user_json

EMAIL_ONLY = '[table]\nname = "people"\nkey = "id"\n[columns]\nmail = "email"\n'
NEEDED = {"id", "updated_at", "primary_email_address_id", "email_addresses"}
ODD: list[Any] = [None, 17, -1, True, "odd", "\ud800", [17], [None], {"a": "\ud800"}]


def model(*columns: str) -> type[ClerkUser]:
    """What a table needs with an email and these further columns."""
    further = "".join(f'c{n} = "{source}"\n' for n, source in enumerate(columns))
    return parse(EMAIL_ONLY + further, name="mine").user_model


def deep() -> Any:
    value: Any = 0
    for _ in range(500):
        value = [value]
    return value


@pytest.mark.parametrize("odd", [*ODD, 10**30, 1e308, deep()], ids=range(12))
def test_fields_that_nobody_needs_may_be_anything(odd: Any) -> None:
    """One at a time and all at once, in an event as in a listing."""
    names = (ClerkUser.model_fields.keys() | FURTHER_FIELDS.keys()) - NEEDED
    changes = [{name: odd} for name in names] + [dict.fromkeys(names, odd)]
    for change in changes:
        data = user_json() | change
        assert parse_user(data, model()).email == "user1@example.com"
        page = parse_page(json.dumps([data, user_json(2)]).encode(), model())
        assert (page.ids, page.unreadable) == ([user_id(1), user_id(2)], [])


@pytest.mark.parametrize("field", ["first_name", "last_name", "username"])
def test_a_name_needs_what_it_is_made_of(field: str) -> None:
    """A column of the name is as good as a column of each part."""
    with pytest.raises(InvalidPayloadError, match=rf"^Not a Clerk user: {field}\.$"):
        parse_user(user_json() | {field: 17}, model("name"))


def test_a_path_into_metadata_needs_the_metadata() -> None:
    """As a whole: whether the rest of it can be read, nobody knows."""
    data = user_json(unsafe_metadata="odd", public_metadata="odd")
    with pytest.raises(InvalidPayloadError, match=r"user: unsafe_metadata\.$"):
        parse_user(data, model("unsafe_metadata.color"))


def test_a_tier_from_metadata_needs_the_metadata() -> None:
    """Without it, a paying user would get the default tier."""
    data = user_json(public_metadata=["PRO"])
    mapping = parse(EMAIL_ONLY, name="mine")
    assert parse_user(data, mapping.user_model).public_metadata is None
    with pytest.raises(InvalidPayloadError, match=r"user: public_metadata\.$"):
        parse_user(data, mapping.user_model_with_tier)


# Entries that are not the primary one.

ODD_ENTRIES: list[Any] = [
    *ODD,
    {},
    {"id": None},
    {"id": "idn_2"},
    {"email_address": "x@example.com", "phone_number": "+15550001"},
    {"id": None, "email_address": "x@example.com", "phone_number": "+15550001"},
    {"id": "idn_2", "email_address": None, "phone_number": None},
    {"id": "idn_2", "email_address": "\ud800", "phone_number": "\ud800"},
    {"id": ["idn_2"], "email_address": 17, "phone_number": 17},
]


@pytest.mark.parametrize("place", [0, 1], ids=["before", "behind"])
@pytest.mark.parametrize("odd", ODD_ENTRIES, ids=range(len(ODD_ENTRIES)))
def test_an_odd_entry_beside_the_primary_one_is_left_out(odd: Any, place: int) -> None:
    """Before or behind it; also where there is no primary one."""
    email = {"id": "idn_primary", "email_address": "user1@example.com"}
    phone = {"id": "idn_phone", "phone_number": "+15550000"}
    fields: dict[str, Any] = {"email_addresses": [email], "phone_numbers": [phone]}
    for entries in fields.values():
        entries.insert(place, odd)
    user = parse_user(user_json(**fields, primary_phone_number_id="idn_phone"))
    assert (user.email, user.phone_number) == ("user1@example.com", "+15550000")
    user = parse_user(user_json(**fields, primary_email_address_id=None))
    assert (user.email, user.phone_number) == (None, None)


def test_what_else_is_in_an_entry_is_not_read() -> None:
    """Half a character in its verification, for example."""
    email = {"id": "idn_primary", "email_address": "a@x.test", "verification": "\ud800"}
    assert parse_user(user_json(email_addresses=[{}, email])).email == "a@x.test"


@pytest.mark.parametrize(
    "entry",
    [
        {"id": "idn_primary"},
        {"id": "idn_primary", "email_address": None},
        {"id": "idn_primary", "email_address": "\ud800"},
        {"id": None, "email_address": "a@x.test"},
        {"email_address": "a@x.test"},
        "a@x.test",
    ],
    ids=repr,
)
def test_a_primary_entry_that_cannot_be_read_is_named(entry: Any) -> None:
    """Its user would seem to have lost the email."""
    other = {"id": "idn_other", "email_address": "b@x.test"}
    with pytest.raises(InvalidPayloadError, match=r"user: email_addresses(\.1.*)?\.$"):
        parse_user(user_json(email_addresses=[other, entry]))


def test_an_odd_entry_with_an_id_of_its_own_is_not_taken_for_the_primary_one() -> None:
    """As without it."""
    other = {"id": "idn_other", "email_address": None}
    assert parse_user(user_json(email_addresses=[other])).email is None


@pytest.mark.parametrize("odd", ["\ud800", deep()], ids=["half a character", "deep"])
def test_what_no_json_holds_is_named(odd: Any) -> None:
    """And not the user as a whole."""
    data = user_json(public_metadata={"a": odd}, last_name=17)
    with pytest.raises(InvalidPayloadError, match=r"user: public_metadata\.$"):
        parse_user(data)


# Times before 1970.


@pytest.mark.parametrize(
    "created_at",
    [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
        datetime(1969, 12, 31, tzinfo=UTC),
        datetime(1582, 10, 4, 12, tzinfo=UTC),
    ],
    ids=str,
)
def test_a_user_may_have_been_created_before_1970(created_at: datetime) -> None:
    """In milliseconds, whatever the magnitude."""
    ms = round((created_at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)
    assert parse_user(user_json(created_at=ms)).created_at == ms
    (user,) = parse_page(json.dumps([user_json(created_at=ms)]).encode()).users
    assert user.created_at == ms


@pytest.mark.parametrize(
    "odd", [-62_135_596_800_001, -(10**30), 253_402_300_800_000, "1", 1.5, True, None]
)
def test_a_time_that_no_column_holds_matters_only_to_one(odd: Any) -> None:
    """Where none is mapped, the user has no such time."""
    assert parse_user(user_json(created_at=odd), model()).created_at is None
    if odd is not None:
        with pytest.raises(InvalidPayloadError, match=r"user: created_at\.$"):
            parse_user(user_json(created_at=odd))


def test_the_walk_keeps_its_place_although_another_field_is_odd() -> None:
    """The time of creation is read wherever it can be."""
    data = user_json(created_at=EPOCH_MS // 1000, first_name=17)
    assert parse_user(data, model()).created_at == EPOCH_MS


@pytest.mark.parametrize("odd", [None, -1, "1", True, -62_135_596_800_000, 10**30])
def test_the_version_is_needed(odd: Any) -> None:
    """It orders writes."""
    with pytest.raises(InvalidPayloadError, match=r"user: updated_at\.$"):
        parse_user(user_json(updated_at=odd), model())
