"""Invented users as Clerk's API gives them."""

from typing import Any

from clerksync.clerk.user import ClerkUser, parse_user
from local.stub_clerk.stub import StubClerk

EPOCH_MS = 1_767_614_400_000
_DEFAULT: Any = object()


def user_id(number: int) -> str:
    return f"user_{number:027d}"


def user_json(
    number: int = 1, *, version: int = 0, email: str | None = _DEFAULT, **fields: Any
) -> dict[str, Any]:
    """User `number`, `version` milliseconds after its creation."""
    if email is _DEFAULT:
        email = f"user{number}@example.com"
    address = {"id": "idn_primary", "object": "email_address", "email_address": email}
    other = {"id": "idn_other", "email_address": f"other{number}@example.com"}
    return {
        "id": user_id(number),
        "object": "user",
        "username": None,
        "first_name": "Noor",
        "last_name": "Castell",
        "image_url": "https://img.example.com/1",
        "primary_email_address_id": "idn_primary" if email else None,
        "email_addresses": [other, address] if email else [],
        "primary_phone_number_id": None,
        "phone_numbers": [],
        "public_metadata": {},
        "banned": False,
        "created_at": EPOCH_MS,
        "updated_at": EPOCH_MS + version,
    } | fields


def a_user(
    number: int = 1, *, version: int = 0, email: str | None = _DEFAULT, **fields: Any
) -> ClerkUser:
    return parse_user(user_json(number, version=version, email=email, **fields))


def shown(stub: StubClerk) -> set[str]:
    """The ids of the users who have an email at Clerk."""
    return {i for i in stub.ids() if stub.get_user(i)["primary_email_address_id"]}
