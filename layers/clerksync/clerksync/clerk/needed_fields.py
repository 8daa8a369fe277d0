"""What can be left out of a user because nobody needs it."""

from collections.abc import Mapping
from typing import Any, Final

ALWAYS: Final = frozenset({"id", "updated_at"})
"""A user is an ID and a version."""

_OF_EMAIL: Final = frozenset({"primary_email_address_id", "email_addresses"})
_OF_PHONE: Final = frozenset({"primary_phone_number_id", "phone_numbers"})
_OF_NAME: Final = frozenset({"first_name", "last_name", "username"}) | _OF_EMAIL
_COMPUTED: Final = {
    "clerk_id": frozenset({"id"}),
    "email": _OF_EMAIL,
    "phone_number": _OF_PHONE,
    "name": _OF_NAME,
}
# A list, the field that names its primary entry, and the value in each entry.
_LISTS: Final = (
    ("email_addresses", "primary_email_address_id", "email_address"),
    ("phone_numbers", "primary_phone_number_id", "phone_number"),
)


def fields_of(source: str) -> frozenset[str]:
    """The fields of Clerk's user object that a source of a mapping is made of."""
    root = source.removeprefix("not ").partition(".")[0]
    return _COMPUTED.get(root, frozenset({root}))


def needed_part(data: Mapping[str, Any], needed: frozenset[str]) -> dict[str, Any]:
    """Return the needed fields of a user, without the emails and phone numbers that
    cannot be read and are not the primary one."""
    part = {name: data[name] for name in needed if name in data}
    for name, primary, value in _LISTS:
        if isinstance(part.get(name), list):
            part[name] = _readable(part[name], data.get(primary), value)
    return part


def _readable(entries: list[Any], primary: Any, value: str) -> list[Any]:
    """Return the entries that can be read; all of them if the primary one may be among
    those that cannot, so that the user is refused and does not lose its email."""
    readable = [e for e in entries if _is_text(e, "id") and _is_text(e, value)]
    found = any(entry["id"] == primary for entry in readable)
    if primary is not None and not found:
        for entry in entries:
            if not _is_text(entry, "id") or entry["id"] == primary:
                return entries
    return [{"id": entry["id"], value: entry[value]} for entry in readable]


def _is_text(entry: Any, name: str) -> bool:
    text = entry.get(name) if isinstance(entry, dict) else None
    try:
        return isinstance(text, str) and bool(text.encode() or True)
    except UnicodeEncodeError:  # half a character, which Postgres cannot hold
        return False
