"""How a user changes: by Python call, or by the JSON of POST and PATCH."""

import json
import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from local.stub_clerk.errors import ClerkError, invalid_param
from local.stub_clerk.users.object import (
    email_address,
    phone_number,
    primary_email_of,
    user_object,
)
from local.stub_clerk.wire import JSON, now_ms

_TEXTS = {"first_name", "last_name", "username", "external_id", "locale"}
_OBJECTS = {"public_metadata", "private_metadata", "unsafe_metadata"}
_FLAGS = {
    "banned",
    "locked",
    "delete_self_enabled",
    "create_organization_enabled",
    "bypass_client_trust",
}
_LISTS = {"email_address", "phone_number"}
_TIMES = {"created_at", "updated_at", "last_sign_in_at", "last_active_at"}
# Taken and without effect: they steer what the stub does not do.
_WITHOUT_EFFECT = {
    "password",
    "skip_password_checks",
    "skip_password_requirement",
    "skip_legal_checks",
    "skip_user_requirement",
    "sign_out_of_other_sessions",
    "notify_primary_email_address_changed",
}

FIELDS = frozenset(
    _TEXTS | _OBJECTS | _FLAGS | _TIMES | {"image_url", "primary_email_address_id"}
)


def new_user(
    *,
    email: str | None = None,
    emails: Sequence[str] = (),
    phone_number: str | None = None,
    created_at: int | None = None,
    **fields: Any,
) -> JSON:
    """Return a user object that is not in the directory yet.

    `email` is the primary address; where it is not among `emails` it comes after them.
    Without it, the first of `emails` is the primary one.
    """
    _refuse_unknown(set(fields) - FIELDS)
    return user_object(
        created_at=now_ms() if created_at is None else created_at,
        rng=random.SystemRandom(),
        emails=list(dict.fromkeys([*emails, *([email] if email else [])])),
        primary_email=email or next(iter(emails), None),
        phone=phone_number,
        **fields | _other_image_fields(fields),
    )


def changed(user: JSON, changes: Mapping[str, Any], now: int) -> JSON:
    """Return `user` with `changes`, made `now` (ms), and a later `updated_at`.

    Fields of the user object replace what is there. Besides them:

    - `email` takes the place of the primary address; None takes away all addresses.
    - `emails` are all addresses; with `email` given too, that one is the primary.
    - `phone_number` takes the place of all phone numbers; None takes them away.

    `updated_at` among the changes is taken as it is.
    """
    _refuse_unknown(set(changes) - FIELDS - {"email", "emails", "phone_number"})
    at = max(now, user["updated_at"] + 1)
    new = user | {"updated_at": at}
    new |= {name: changes[name] for name in FIELDS & changes.keys()}
    new |= _other_image_fields(changes)
    if "emails" in changes or "email" in changes:
        new |= _email_fields(user, changes, at)
    if "phone_number" in changes:
        number = changes["phone_number"]
        phones = [phone_number(number, at, random.SystemRandom())] if number else []
        new |= {
            "phone_numbers": phones,
            "primary_phone_number_id": phones[0]["id"] if phones else None,
        }
    return new


def _other_image_fields(changes: Mapping[str, Any]) -> JSON:
    if "image_url" not in changes:
        return {}
    return {"profile_image_url": changes["image_url"], "has_image": True}


def _refuse_unknown(names: set[str]) -> None:
    if names:
        raise TypeError(f"a user has no {', '.join(sorted(names))}")


def _email_fields(user: JSON, changes: Mapping[str, Any], at: int) -> JSON:
    """Return the two fields about emails; an address that stays keeps its entry."""
    had = {entry["email_address"]: entry for entry in user["email_addresses"]}
    old = primary_email_of(user)
    primary = changes.get("email")
    if "emails" in changes:
        addresses = list(changes["emails"])
        if not primary and addresses:
            primary = old if old in addresses else addresses[0]
    else:
        addresses = [a for a in had if primary and a not in (old, primary)]
    if primary and primary not in addresses:
        addresses.append(primary)
    entries = {
        address: had.get(address) or email_address(address, at, random.SystemRandom())
        for address in addresses
    }
    return {
        "email_addresses": list(entries.values()),
        "primary_email_address_id": entries[primary]["id"] if primary else None,
    }


def changes_of(body: bytes, user: JSON | None = None) -> dict[str, Any]:
    """Return the changes that the JSON of a POST, or a PATCH of `user`, asks for.

    Raises the 400 for what is no JSON object, and the 422 for a parameter that the
    stub does not know or that has the wrong type. PATCH takes all that POST takes:
    emails, phone numbers, metadata and `banned`, for which Clerk has resources of
    their own, are the stub's convenience.
    """
    try:
        params = json.loads(body)
    except ValueError:
        params = None
    if not isinstance(params, dict):
        raise ClerkError(400, "request_body_invalid", "The body is no JSON object.")
    changes: dict[str, Any] = {}
    for name, value in params.items():
        if name in _WITHOUT_EFFECT:
            continue
        _refuse_wrong_type(name, value)
        if name == "email_address":
            changes |= {"emails": value, "email": value[0] if value else None}
        elif name == "phone_number":
            changes["phone_number"] = value[0] if value else None
        elif name == "created_at":
            changes[name] = _milliseconds(value)
        elif value is not None or name in _TEXTS:
            changes[name] = value
    primary = changes.get("primary_email_address_id")
    entries = user["email_addresses"] if user else []
    if primary and primary not in [entry["id"] for entry in entries]:
        raise invalid_param("primary_email_address_id", "is no email of this user")
    return changes


def _refuse_wrong_type(name: str, value: Any) -> None:
    if name in _TEXTS | {"created_at", "primary_email_address_id"}:
        good = value is None or isinstance(value, str)
    elif name in _OBJECTS:
        good = value is None or isinstance(value, dict)
    elif name in _FLAGS:
        good = value is None or isinstance(value, bool)
    elif name in _LISTS:
        good = isinstance(value, list) and all(isinstance(v, str) for v in value)
    else:
        raise invalid_param(name, "is not a valid parameter", "form_param_unknown")
    if not good:
        raise invalid_param(name, "has the wrong type", "form_param_type_invalid")


def _milliseconds(text: str) -> int:
    try:
        return round(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        raise invalid_param("created_at", "must be a time as in RFC 3339") from None
