"""A user as Clerk's Backend API and webhooks give it."""

import json
import re
from contextlib import suppress
from dataclasses import dataclass
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
from clerksync.observability import count

# Clerk's timestamps are int64 milliseconds. Some of its own examples show seconds:
# pydantic reads numbers above 2e10 as milliseconds and smaller ones as seconds.
Timestamp = AwareDatetime
CLERK_ID_PATTERN = "user_[A-Za-z0-9_]+"
_CLERK_ID = re.compile(CLERK_ID_PATTERN)
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
        str, Field(pattern=rf"^{CLERK_ID_PATTERN}$", max_length=_CLERK_ID_LENGTH)
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
    count("NulCharactersStripped")
    return _NUL_ESCAPE.sub(rb"\1", body)


def parse_json(body: bytes) -> Any:
    """Decode JSON that will end up in Postgres. Raises InvalidPayloadError."""
    body = without_nul(body)
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        if "recursion limit" in str(error):
            return _parse_deep_json(body)
        raise InvalidPayloadError("The body is not valid JSON.") from error


def _parse_deep_json(body: bytes) -> Any:
    """JSON nested deeper than pydantic goes: a user may put that into metadata that we
    do not even read."""
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidPayloadError("The body is not valid JSON.") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def parse_user(data: Any) -> ClerkUser:
    """Check one decoded user. Raises InvalidPayloadError naming the fields at fault."""
    try:
        # As JSON once more, without what is not read: a lone surrogate, which Postgres
        # could not hold, is refused there and only there.
        if isinstance(data, dict):
            read = {name: data[name] for name in ClerkUser.model_fields if name in data}
            return ClerkUser.model_validate_json(json.dumps(read))
        return ClerkUser.model_validate(data)
    except ValidationError as error:
        fields = {".".join(map(str, e["loc"])) or "user" for e in error.errors()}
        message = f"Not a Clerk user: {', '.join(sorted(fields)[:5])}."
        raise InvalidPayloadError(message) from None
    except (RecursionError, TypeError):
        raise InvalidPayloadError("Not a Clerk user: no JSON can hold it.") from None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of Clerk's user listing."""

    users: list[ClerkUser]
    ids: list[str]
    """Of all users whose id can be read, in the order of the listing."""
    undecodable: int = 0
    """Users that cannot be read."""

    def __len__(self) -> int:
        return len(self.users) + self.undecodable


def parse_page(body: bytes) -> Page:
    """Decode a page of the listing. A single bad user never costs the page.

    Raises InvalidPayloadError when the page is not a JSON array.
    """
    body = without_nul(body)
    try:
        users = _page_adapter().validate_json(body)
    except ValidationError:
        return _parse_one_by_one(body)
    return Page(users, [user.id for user in users])


@cache
def _page_adapter() -> TypeAdapter[list[ClerkUser]]:
    """Made at first use: only bulk sync reads pages."""
    return TypeAdapter(list[ClerkUser])


def _parse_one_by_one(body: bytes) -> Page:
    items = _parse_deep_json(body)
    if not isinstance(items, list):
        raise InvalidPayloadError("Clerk's user listing is not a JSON array.")
    users: list[ClerkUser] = []
    ids: list[str] = []
    for item in items:
        with suppress(InvalidPayloadError):
            users.append(parse_user(item))
        clerk_id = item.get("id") if isinstance(item, dict) else None
        if isinstance(clerk_id, str) and is_clerk_id(clerk_id):
            ids.append(clerk_id)
    return Page(users, ids, undecodable=len(items) - len(users))
