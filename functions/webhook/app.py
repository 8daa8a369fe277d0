"""POST /api/webhooks/clerk: what Clerk, through Svix, tells us of its users."""

from clerksync.database import Database
from clerksync.errors import InvalidSignatureError
from clerksync.http_api import Request, Response, http_door
from clerksync.observability import count, logger
from clerksync.settings import Settings
from clerksync.user_table import UserTable
from clerksync.webhook_event import (
    WebhookEvent,
    message_id,
    parse_event,
    verify_signature,
)

settings = Settings()
database = Database.from_settings(settings)


def receive(request: Request) -> Response:
    logger.append_keys(svix_id=message_id(request.headers))
    verify(request)
    event = parse_event(request.body, instance_id=settings.instance_id)
    action = apply(event)
    logger.info("webhook applied", type=event.type, action=action)
    count(f"Webhooks{action.capitalize()}")
    return Response(200, {"success": True, "action": action})


def verify(request: Request) -> None:
    secrets = settings.webhook_signing_secrets
    try:
        verify_signature(request.body, request.headers, secrets)
    except InvalidSignatureError:
        # The signing secret may have been rotated since it was read.
        if not settings.refresh():
            raise
        secrets = settings.webhook_signing_secrets
        verify_signature(request.body, request.headers, secrets)


def apply(event: WebhookEvent) -> str:
    """What was done; committed when this returns."""
    if event.user is not None:
        users = UserTable.from_settings(database, settings)
        return users.upsert(event.user).action
    if event.deleted_id is not None:
        users = UserTable.from_settings(database, settings)
        users.delete([event.deleted_id])
        return "deleted"
    return "ignored"


handler = http_door(receive)
