"""Webhook events as Clerk words them, signed as Svix signs them."""

import secrets
import time
from datetime import UTC, datetime

from svix.webhooks import Webhook

from local.stub_clerk.wire import JSON


def user_event(type_: str, user: JSON, instance_id: str, timestamp_ms: int) -> JSON:
    """Return the event about `user`; `timestamp_ms` is Unix milliseconds.

    A `user.deleted` carries only what is left of the user.
    """
    return {
        "data": deleted_object(user) if type_ == "user.deleted" else user,
        "event_attributes": {
            "http_request": {
                "client_ip": "203.0.113.7",
                "user_agent": "stub-clerk/1.0",
            }
        },
        "instance_id": instance_id,
        "object": "event",
        "timestamp": timestamp_ms,
        "type": type_,
    }


def deleted_object(user: JSON) -> JSON:
    """Return what is left of a user: no `external_id` where there was none."""
    deleted: JSON = {"object": "user", "id": user["id"], "deleted": True}
    if user.get("external_id") is not None:
        deleted["external_id"] = user["external_id"]
    return deleted


def new_message_id() -> str:
    """Return an id such as Svix gives to a message."""
    return f"msg_{secrets.token_hex(14)[:27]}"


def signed_headers(
    secret: str,
    body: bytes,
    message_id: str | None = None,
    timestamp: float | None = None,
) -> dict[str, str]:
    """Return the three svix headers for `body`.

    `timestamp` is Unix seconds, by default now. Several secrets, separated by spaces,
    give several signatures, as during a rotation.
    """
    message_id = message_id or new_message_id()
    seconds = int(time.time() if timestamp is None else timestamp)
    moment = datetime.fromtimestamp(seconds, tz=UTC)
    signatures = [
        Webhook(one).sign(message_id, moment, body.decode()) for one in secret.split()
    ]
    return {
        "svix-id": message_id,
        "svix-timestamp": str(seconds),
        "svix-signature": " ".join(signatures),
    }
