"""What Clerk posts: the Svix signature, and the event inside."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from standardwebhooks.webhooks import (
    EmptyWebhookSecretError,
    Webhook,
    WebhookVerificationError,
)

from clerksync.clerk.timestamps import YEAR_10000, milliseconds
from clerksync.clerk.user import ClerkUser, is_clerk_id, parse_json, parse_user
from clerksync.errors import (
    InvalidPayloadError,
    InvalidSettingError,
    InvalidSignatureError,
)

_USER_WRITTEN: Final = frozenset({"user.created", "user.updated"})
# A rotation has two. Strangers can send thousands, each of which costs a digest.
_MAX_SIGNATURES: Final = 10
_MESSAGE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")
_USER_DELETED: Final = "user.deleted"


class WebhookEvent(NamedTuple):
    type: str
    user: ClerkUser | None = None
    """Set for user.created and user.updated."""
    deleted_id: str | None = None
    """Set for user.deleted. Clerk's schema allows a deletion without an id."""
    occurred_at: int | None = None
    """When Clerk made the event: Unix ms of its clock."""
    instance_id: str | None = None
    """The Clerk instance that the event belongs to."""


def message_id(headers: Mapping[str, str]) -> str | None:
    """The delivery's id, for the log; None for what Svix would not call one."""
    found = headers.get("svix-id", "")
    return found if _MESSAGE_ID.fullmatch(found) else None


def verify_signature(
    body: bytes, headers: Mapping[str, str], secrets: Iterable[str]
) -> None:
    """Check that one of the secrets signed these very bytes, within ±5 minutes.

    Raises InvalidSignatureError; InvalidSettingError when a secret is not one.
    """
    signed = {
        name: headers.get(f"svix-{name}") or headers.get(f"webhook-{name}") or ""
        for name in ("id", "timestamp", "signature")
    }
    if not all(signed.values()):
        message = "The svix-id, svix-timestamp and svix-signature headers are missing."
        raise InvalidSignatureError(message)
    # One signature at a time: a malformed one must not hide a good one behind it, nor
    # one malformed secret another.
    verifiers = [verifier_of(secret) for secret in secrets]
    for verifier in filter(None, verifiers):
        for signature in signed["signature"].split(" ")[:_MAX_SIGNATURES]:
            if _is_signed(verifier, body, signed | {"signature": signature}):
                return
    if None in verifiers:
        message = "CLERK_WEBHOOK_SIGNING_SECRET is not a signing secret (whsec_…)."
        raise InvalidSettingError(message)
    raise InvalidSignatureError(
        "The signature does not match, or its timestamp is more than 5 minutes off. "
        "Check that the signing secret is the one of this endpoint."
    )


def verifier_of(secret: str) -> Webhook | None:
    """None for what is no signing secret."""
    if not secret.startswith("whsec_"):
        return None
    try:
        return Webhook(secret)
    except (ValueError, EmptyWebhookSecretError):
        return None


def _is_signed(verifier: Webhook, body: bytes, signed: Mapping[str, str]) -> bool:
    headers = {f"webhook-{name}": value for name, value in signed.items()}
    try:
        verifier.verify(body, headers, json_parse=False)
    except (WebhookVerificationError, ValueError):
        # ValueError: no comma, bad base64, a body that is not UTF-8.
        return False
    return True


def parse_event(
    body: bytes,
    *,
    instance_id: str | None = None,
    user_model: type[ClerkUser] = ClerkUser,
) -> WebhookEvent:
    """Read a verified body. A type that does not concern users is left unread.

    Raises InvalidPayloadError, also for an event of another instance than the given.
    """
    envelope = parse_json(body)
    if not isinstance(envelope, dict) or not isinstance(envelope.get("type"), str):
        raise InvalidPayloadError("The body is not a Clerk event: it has no type.")
    event_type: str = envelope["type"]
    if instance_id is not None and envelope.get("instance_id") != instance_id:
        message = "The event is of another Clerk instance than CLERKSYNC_INSTANCE_ID."
        raise InvalidPayloadError(message)
    data, timestamp = envelope.get("data"), envelope.get("timestamp")
    instance = envelope.get("instance_id")
    return WebhookEvent(
        event_type,
        user=parse_user(data, user_model) if event_type in _USER_WRITTEN else None,
        deleted_id=_deleted_id(data) if event_type == _USER_DELETED else None,
        occurred_at=_moment(timestamp),
        instance_id=instance if isinstance(instance, str) else None,
    )


def _moment(timestamp: Any) -> int | None:
    """Unix milliseconds, of what may be anything: it only tells how late we are."""
    if type(timestamp) is not int or not 0 <= timestamp < YEAR_10000:
        return None
    return milliseconds(timestamp)


def _deleted_id(data: Any) -> str | None:
    if not isinstance(data, dict):
        raise InvalidPayloadError("The deletion has no data.")
    clerk_id = data.get("id")
    if clerk_id is not None and not is_clerk_id(clerk_id):
        raise InvalidPayloadError("The deletion's id is not a Clerk user id.")
    return clerk_id
