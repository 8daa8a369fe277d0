"""A user as Clerk's Backend API and webhooks give it."""

import json
import re
from functools import cache, cached_property
from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
)
from pydantic_core import ValidationError, from_json

from clerksync.errors import InvalidPayloadError

# Clerk's timestamps are int64 milliseconds. Some of its own examples show seconds:
# pydantic reads numbers above 2e10 as milliseconds and smaller ones as seconds.
Timestamp = AwareDatetime
_CLERK_ID = re.compile(r"user_[A-Za-z0-9_]+")
_CLERK_ID_LENGTH = 255
Metadata = Annotated[dict[str, Any], BeforeValidator(lambda value: value or {})]

# A NUL character is legal in JSON and impossible in Postgres. The group keeps escaped
# backslashes before it: the JSON text \\u0000 is a backslash and five harmless letters.
_NUL_ESCAPE = re.compile(rb"((?<!\\)(?:\\\\)*)\\u0000")


def is_clerk_id(value: object) -> bool:
    """Whether this is a Clerk user id: `user_` and letters, digits or underscores."""
    return (
        isinstance(value, str)
        and len(value) <= _CLERK_ID_LENGTH
        and _CLERK_ID.fullmatch(value) is not None
    )


class _EmailAddress(BaseModel):
    id: str
    email_address: str


class _PhoneNumber(BaseModel):
    id: str
    phone_number: str


class ClerkUser(BaseModel):
    """The part of Clerk's User object that reaches the table.

    Names, username, image and every `primary_*_id` can be null. The primary email is
    the address whose id is `primary_email_address_id`, which need not be the first.
    """

    model_config = ConfigDict(extra="ignore")

    id: Annotated[
        str, Field(pattern=rf"^{_CLERK_ID.pattern}$", max_length=_CLERK_ID_LENGTH)
    ]
    updated_at: Timestamp
    created_at: Timestamp | None = None
    first_name: str | None = None
    last_name: str | None = None
    username: str | None = None
    image_url: str | None = None
    primary_email_address_id: str | None = None
    primary_phone_number_id: str | None = None
    email_addresses: list[_EmailAddress] | None = None
    phone_numbers: list[_PhoneNumber] | None = None
    public_metadata: Metadata = Field(default_factory=dict)
    banned: bool | None = None

    @cached_property
    def email(self) -> str | None:
        for address in self.email_addresses or ():
            if address.id == self.primary_email_address_id:
                return address.email_address or None
        return None

    @property
    def phone_number(self) -> str | None:
        for number in self.phone_numbers or ():
            if number.id == self.primary_phone_number_id:
                return number.phone_number
        return None

    @property
    def name(self) -> str | None:
        """First and last name, else username, else the email up to the @."""
        full = " ".join(part for part in (self.first_name, self.last_name) if part)
        if full or self.username:
            return full or self.username
        return self.email.partition("@")[0] if self.email else None


def without_nul(body: bytes) -> bytes:
    """The JSON text without NUL characters in its strings; the same object if none."""
    if b"\\u0000" not in body:
        return body
    return _NUL_ESCAPE.sub(rb"\1", body)


def parse_json(body: bytes) -> Any:
    """Decode JSON that will end up in Postgres. Raises InvalidPayloadError."""
    try:
        return from_json(without_nul(body), allow_inf_nan=False)
    except ValueError as error:
        raise InvalidPayloadError("The body is not valid JSON.") from error


def parse_user(data: Any) -> ClerkUser:
    """Check one decoded user. Raises InvalidPayloadError naming the fields at fault."""
    try:
        return ClerkUser.model_validate(data)
    except ValidationError as error:
        fields = {".".join(map(str, e["loc"])) or "user" for e in error.errors()}
        message = f"Not a Clerk user: {', '.join(sorted(fields)[:5])}."
        raise InvalidPayloadError(message) from None


def parse_users(body: bytes) -> tuple[list[ClerkUser], list[str | None]]:
    """Decode a page of the listing: the users, and the ids of those that cannot be.

    Raises InvalidPayloadError when the page is not a JSON array. A single bad user
    never costs the page; its id is None when even that is unreadable.
    """
    body = without_nul(body)
    try:
        return _page_adapter().validate_json(body), []
    except ValidationError:
        return _parse_one_by_one(body)


@cache
def _page_adapter() -> TypeAdapter[list[ClerkUser]]:
    """Made at first use: only bulk sync reads pages."""
    return TypeAdapter(list[ClerkUser])


def _parse_one_by_one(body: bytes) -> tuple[list[ClerkUser], list[str | None]]:
    try:
        items = json.loads(body)  # unlike from_json, lets a lone surrogate pass
    except (ValueError, RecursionError) as error:
        raise InvalidPayloadError("Clerk's answer is not valid JSON.") from error
    if not isinstance(items, list):
        raise InvalidPayloadError("Clerk's user listing is not a JSON array.")
    users: list[ClerkUser] = []
    undecodable: list[str | None] = []
    for item in items:
        try:
            # As JSON once more: a lone surrogate is refused there, and only there.
            users.append(ClerkUser.model_validate_json(json.dumps(item)))
        except ValidationError:
            clerk_id = item.get("id") if isinstance(item, dict) else None
            undecodable.append(clerk_id if is_clerk_id(clerk_id) else None)
    return users, undecodable
