"""POST /api/webhooks/clerk: what Clerk, through Svix, tells us of its users."""

import time
from collections.abc import Sequence

from clerksync.clerk.user import ClerkUser
from clerksync.clerk.webhook import (
    WebhookEvent,
    message_id,
    parse_event,
    verify_signature,
)
from clerksync.doors.http_api import Request, Response, http_door
from clerksync.doors.snapshot import FOR_SECRETS, import_for_snapshot
from clerksync.errors import (
    InvalidSettingError,
    InvalidSignatureError,
    MissingSettingError,
)
from clerksync.observability import count, count_milliseconds, logger
from clerksync.postgres.database import Database
from clerksync.settings.environment import Settings
from clerksync.write.user_table import UserTable

import_for_snapshot(*FOR_SECRETS)

settings = Settings()
database = Database.from_settings(settings)


def receive(request: Request) -> Response:
    logger.append_keys(svix_id=message_id(request.headers))
    verify(request)
    event = parse_event(
        request.body,
        instance_id=settings.instance_id,
        user_model=settings.user_model,
    )
    action = apply(event)
    logger.info("webhook applied", type=event.type, action=action)
    count(f"Webhooks{action.capitalize()}")
    if event.occurred_at is not None:
        count_milliseconds("SyncLag", max(0, time.time() * 1000 - event.occurred_at))
    return Response(200, {"success": True, "action": action})


def verify(request: Request) -> None:
    try:
        secrets = settings.webhook_signing_secrets
        verify_signature(request.body, request.headers, secrets)
    except (InvalidSignatureError, InvalidSettingError, MissingSettingError):
        # The signing secret may have been set, or rotated, since it was read.
        if not settings.refresh():
            raise
        secrets = settings.webhook_signing_secrets
        verify_signature(request.body, request.headers, secrets)


def apply(event: WebhookEvent) -> str:
    """What was done; committed when this returns."""
    users = UserTable.from_settings(database, settings, ask_clerk)
    users = users.for_event_of(event.instance_id)
    if event.user is not None:
        logger.append_keys(clerk_id=event.user.id)
        outcome = users.upsert(event.user)
        count("EmailConflicts", outcome.email_conflicts)
        return outcome.action
    if event.deleted_id is not None:
        logger.append_keys(clerk_id=event.deleted_id)
        users.delete_user(event.deleted_id)
        return "deleted"
    return "ignored"


def ask_clerk(clerk_ids: Sequence[str]) -> list[ClerkUser]:
    """Only where no row may be without an email, and one moves on."""
    from clerksync.clerk.retry import INTERACTIVE  # noqa: PLC0415 - seldom used
    from clerksync.settings.clerk_client import clerk_client  # noqa: PLC0415 - same

    return clerk_client(settings, INTERACTIVE).users_by_id(clerk_ids)


handler = http_door(receive, counted_as="Webhooks")
