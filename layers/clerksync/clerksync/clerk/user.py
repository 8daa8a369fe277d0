"""A user as Clerk's Backend API and webhooks give it."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic_core import ValidationError, from_json
from typing_extensions import TypedDict

from clerksync.clerk.needed_fields import needed_part
from clerksync.clerk.timestamps import Moment, Timestamp, is_moment, milliseconds
from clerksync.errors import InvalidPayloadError
from clerksync.observability import count, logger

CLERK_ID_PATTERN = "user_[A-Za-z0-9_]+"
_CLERK_ID = re.compile(CLERK_ID_PATTERN)
_CLERK_ID_LENGTH = 255
IDS_LIMIT: Final = 100
"""How many users Clerk can be asked for by id at once."""

# A NUL character is legal in JSON and impossible in Postgres. The group keeps escaped
# backslashes before it: the JSON text \\u0000 is a backslash and five harmless letters.
_NUL_ESCAPE = re.compile(rb"((?<!\\)(?:\\\\)*)\\u0000")
# Half the time of `in`, for a page of a megabyte.
_LOOKS_LIKE_NUL = re.compile(rb"\\u0000")


def is_clerk_id(value: object) -> bool:
    """Whether this is a Clerk user id: `user_` and letters, digits or underscores."""
    return (
        isinstance(value, str)
        and len(value) <= _CLERK_ID_LENGTH
        and _CLERK_ID.fullmatch(value) is not None
    )


# Dictionaries: two more objects for each user would be a tenth of reading it.
class _EmailAddress(TypedDict):
    id: str
    email_address: str


class _PhoneNumber(TypedDict):
    id: str
    phone_number: str


class ClerkUser(BaseModel):
    """The part of Clerk's User object that reaches the table.

    Names, username, image and every `primary_*_id` can be null. The primary email is
    the address whose id is `primary_email_address_id`, which need not be the first.
    """

    model_config = ConfigDict(extra="ignore")
    needed: ClassVar[frozenset[str]]
    """The fields without which the user cannot be written: an odd value in one of them
    makes the user unreadable. In any other field it counts as nothing."""

    id: Annotated[
        str, Field(pattern=rf"^{CLERK_ID_PATTERN}$", max_length=_CLERK_ID_LENGTH)
    ]
    updated_at: Timestamp
    created_at: Moment | None = None
    first_name: str | None = None
    last_name: str | None = None
    username: str | None = None
    image_url: str | None = None
    primary_email_address_id: str | None = None
    primary_phone_number_id: str | None = None
    email_addresses: list[_EmailAddress] | None = None
    phone_numbers: list[_PhoneNumber] | None = None
    public_metadata: dict[str, Any] | None = None
    banned: bool | None = None

    @property
    def email(self) -> str | None:
        primary = self.primary_email_address_id
        for address in self.email_addresses or ():
            if address["id"] == primary:
                return address["email_address"] or None
        return None

    @property
    def phone_number(self) -> str | None:
        for number in self.phone_numbers or ():
            if number["id"] == self.primary_phone_number_id:
                return number["phone_number"]
        return None

    @property
    def name(self) -> str | None:
        """First and last name, else username, else the email up to the @."""
        if self.first_name and self.last_name:
            return f"{self.first_name} {self.last_name}"
        name = self.first_name or self.last_name or self.username
        if name or not self.email:
            return name or None
        return self.email.partition("@")[0]


ClerkUser.needed = frozenset(ClerkUser.model_fields)

# What a mapping may name besides; read only where one does.
FURTHER_FIELDS: Final[dict[str, Any]] = (
    dict.fromkeys(("external_id", "locale"), str | None)
    | dict.fromkeys(
        (
            "has_image",
            "locked",
            "password_enabled",
            "two_factor_enabled",
            "totp_enabled",
            "backup_code_enabled",
        ),
        bool | None,
    )
    | dict.fromkeys(
        (
            "last_sign_in_at",
            "last_active_at",
            "legal_accepted_at",
            "mfa_enabled_at",
            "mfa_disabled_at",
            "password_last_updated_at",
        ),
        Moment | None,
    )
    | dict.fromkeys(("private_metadata", "unsafe_metadata"), dict[str, Any] | None)
)


def without_nul(body: bytes) -> bytes:
    """The JSON text without NUL characters in its strings; the same object if none."""
    if not _LOOKS_LIKE_NUL.search(body):
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


def parse_user(data: Any, model: type[ClerkUser] = ClerkUser) -> ClerkUser:
    """Check one decoded user. Raises InvalidPayloadError naming the fields at fault."""
    if not isinstance(data, dict):
        raise InvalidPayloadError("Not a Clerk user: user.")
    read = {name: data[name] for name in model.model_fields if name in data}
    try:
        return _validated(read, model)
    except (ValidationError, RecursionError, TypeError):
        pass
    part = needed_part(read, model.needed)
    if is_moment(read.get("created_at")):  # the walk of a listing goes by it
        part["created_at"] = read["created_at"]
    try:
        return _validated(part, model)
    except ValidationError as error:
        fields = {".".join(map(str, e["loc"])) for e in error.errors()}
    except (RecursionError, TypeError):
        fields = {""}
    if "" in fields:
        fields = set(filter(lambda name: not _is_json(part[name]), part)) or {"user"}
    message = f"Not a Clerk user: {', '.join(sorted(fields)[:5])}."
    raise InvalidPayloadError(message) from None


def _validated(read: dict[str, Any], model: type[ClerkUser]) -> ClerkUser:
    """As JSON once more, without what is not read: a lone surrogate, which Postgres
    could not hold, is refused there and only there."""
    return model.model_validate_json(json.dumps(read))


def _is_json(value: Any) -> bool:
    try:
        from_json(json.dumps(value))
    except (ValueError, RecursionError, TypeError):
        return False
    return True


class Unreadable(NamedTuple):
    """What can be made out of a user that cannot be read as a whole."""

    id: str | None = None
    created_at: int | None = None


@dataclass(frozen=True)
class Page:
    """A page of Clerk's user listing."""

    users: list[ClerkUser]
    unreadable: list[Unreadable]
    ids: list[str]
    """Of all users whose id can be read, in the order of the listing."""

    def __len__(self) -> int:
        return len(self.users) + len(self.unreadable)

    def only(self, belongs: Callable[[int | None], bool]) -> "Page":
        """The part of it whose `created_at` passes a test."""
        users = [user for user in self.users if belongs(user.created_at)]
        unreadable = [user for user in self.unreadable if belongs(user.created_at)]
        own = {user.id for user in users} | {user.id for user in unreadable}
        return Page(users, unreadable, [i for i in self.ids if i in own])


def parse_page(body: bytes, model: type[ClerkUser] = ClerkUser) -> Page:
    """Decode a page of the listing. A single bad user never costs the page.

    Raises InvalidPayloadError when the page is not a JSON array.
    """
    body = without_nul(body)
    try:
        users = _page_adapter(model).validate_json(body)
    except ValidationError:
        return _parse_one_by_one(body, model)
    return Page(users, [], [user.id for user in users])


@cache
def _page_adapter(model: type[ClerkUser]) -> TypeAdapter[list[ClerkUser]]:
    """Made at first use: only bulk sync reads pages."""
    return TypeAdapter(list[model])  # type: ignore[valid-type] # known at run time


def _parse_one_by_one(body: bytes, model: type[ClerkUser]) -> Page:
    items = _parse_deep_json(body)
    if not isinstance(items, list):
        raise InvalidPayloadError("Clerk's user listing is not a JSON array.")
    users: list[ClerkUser] = []
    unreadable: list[Unreadable] = []
    ids: list[str] = []
    for item in items:
        try:
            users.append(parse_user(item, model))
            ids.append(users[-1].id)
        except InvalidPayloadError as error:
            unreadable.append(_made_out(item))
            clerk_id = unreadable[-1].id
            logger.error("user not read", clerk_id=clerk_id, reason=str(error))
            if clerk_id is not None:
                ids.append(clerk_id)
    return Page(users, unreadable, ids)


def _made_out(item: Any) -> Unreadable:
    if not isinstance(item, dict):
        return Unreadable()
    clerk_id = item.get("id")
    created_at = item.get("created_at")
    return Unreadable(
        id=clerk_id if is_clerk_id(clerk_id) else None,
        created_at=milliseconds(created_at) if is_moment(created_at) else None,
    )
