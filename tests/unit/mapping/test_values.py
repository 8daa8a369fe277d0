"""What a mapping makes of a user's fields."""

from typing import Any

import pytest

from clerksync.clerk.user import ClerkUser, parse_user
from clerksync.mapping.file import DEFAULT, parse
from clerksync.mapping.values import reader_of
from tests.people import user_json
from tests.unit.mapping.test_file import GOOD


def test_further_fields_are_read_only_where_a_column_needs_them() -> None:
    """Others pay nothing for them."""
    assert DEFAULT.user_model is ClerkUser
    text = GOOD + 'external = "external_id"\nseen = "last_active_at"\nlocked = "locked"'
    mapping = parse(text, name="mine")
    data = user_json(external_id="crm-7", last_active_at=1_767_614_400_123, locked=True)
    user = parse_user(data, mapping.user_model)
    assert reader_of(mapping)(user)[3:] == ("crm-7", 1_767_614_400_123, True)
    assert [c.type for c in mapping.columns[1:]] == ["text", "timestamp", "boolean"]


@pytest.mark.parametrize(
    ("type_", "value", "read"),
    [
        ("text", "gold", "gold"),
        ("text", 5, "5"),
        ("text", {"a": 1}, '{"a": 1}'),
        ("text", None, None),
        ("integer", 5, 5),
        ("integer", True, None),
        ("integer", "5", None),
        ("integer", 2**63, None),
        ("numeric", 2.5, 2.5),
        ("numeric", False, None),
        ("boolean", True, True),
        ("boolean", 1, None),
        ("jsonb", [1], [1]),
    ],
)
def test_a_path_into_metadata_gives_what_fits_its_column(
    type_: str, value: object, read: object
) -> None:
    """Metadata is anything: what does not fit is left out, and fails nothing."""
    text = GOOD + f'x = {{ from = "public_metadata.a.b", type = "{type_}" }}'
    mapping = parse(text, name="mine")
    user = parse_user(user_json(public_metadata={"a": {"b": value}}))
    assert reader_of(mapping)(user)[3] == read
    nothing: list[dict[str, object]] = [{}, {"a": "b"}, {"a": None}, {"a": {}}]
    for metadata in nothing:
        user = parse_user(user_json(public_metadata=metadata))
        assert reader_of(mapping)(user)[3] is None


@pytest.mark.parametrize(
    ("source", "fields", "read"),
    [
        ('"clerk_id"', {}, "user_000000000000000000000000001"),
        ('"not banned"', {"banned": True}, False),
        ('"not banned"', {"banned": None}, True),
        ('"not locked"', {"locked": False}, True),
        ('"email"', {}, "user1@example.com"),
        ('{ from = "first_name", truncate = 3 }', {"first_name": "Zoë🦄x"}, "Zoë"),
        ('{ from = "first_name", truncate = 3 }', {"first_name": None}, None),
        (
            '{ from = "banned", values = { true = "blocked", "*" = "active" } }',
            {"banned": True},
            "blocked",
        ),
        (
            '{ from = "banned", values = { true = "blocked", "*" = "active" } }',
            {"banned": False},
            "active",
        ),
        ('{ from = "locale", values = ["de", "fr"] }', {"locale": "de"}, "de"),
        ('{ from = "locale", values = ["de", "fr"] }', {"locale": "it"}, None),
        ('{ from = "locale", values = { "*" = "x" } }', {"locale": None}, None),
    ],
)
def test_what_is_made_of_a_source(
    source: str, fields: dict[str, Any], read: object
) -> None:
    """The ID, the opposite, the start of a text, and another text for each."""
    mapping = parse(f"{GOOD}x = {source}", name="mine")
    user = parse_user(user_json(**fields), mapping.user_model)
    assert reader_of(mapping)(user)[3] == read
