"""The Lambda functions, called in this process as Lambda would call them."""

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, Final

import urllib3
from standardwebhooks.webhooks import EmptyWebhookSecretError
from svix.webhooks import Webhook

from clerksync.errors import InvalidSettingError, NotAuthenticatedError
from local.stack.cloudformation import answering
from local.stack.gateway import Handler, Routes

# By folder, and by logical id in template.yaml.
MODULES: Final = {
    "webhook": "functions.webhook.app",
    "self_sync": "functions.self_sync.app",
    "bulk_sync": "functions.bulk_sync.app",
    "migrate": "functions.migrate.app",
}
_LOGICAL_IDS: Final = {
    "WebhookFunction": "webhook",
    "SelfSyncFunction": "self_sync",
    "BulkSyncFunction": "bulk_sync",
    "MigrateFunction": "migrate",
}
_PLACEHOLDER: Final = "placeholder"


def handler(name: str) -> Handler:
    """The handler of a function. Raises KeyError for a name there is none of."""
    folder = _LOGICAL_IDS.get(name, name.replace("-", "_"))
    app = import_module(MODULES[folder])
    found: Handler = answering(app.handler) if folder == "migrate" else app.handler
    return found


def routes() -> Routes:
    """As in template.yaml."""
    webhook, self_sync = handler("webhook"), handler("self_sync")
    return {
        ("POST", "/api/webhooks/clerk"): webhook,
        ("POST", "/api/users/sync"): self_sync,
        ("POST", "/api/user/sync"): self_sync,
        ("GET", "/api/users/me"): self_sync,
    }


def close_connections() -> None:
    """Close what the functions opened, before the database goes away."""
    for module in map(import_module, MODULES.values()):
        if hasattr(module, "database"):  # migrate closes its own
            module.database.close()


def signed(event: Mapping[str, Any], secret: str) -> dict[str, Any]:
    """A webhook event of API Gateway with a fresh, valid signature of its body."""
    body = event.get("body")
    if not isinstance(body, str) or event.get("isBase64Encoded"):
        raise ValueError("the event has no text body to sign")
    try:
        webhook = Webhook(secret)
    except (ValueError, EmptyWebhookSecretError):
        message = "CLERK_WEBHOOK_SIGNING_SECRET is none: it is whsec_ and base64."
        raise InvalidSettingError(message) from None
    now = datetime.now(tz=UTC)
    message_id = f"msg_{uuid.uuid4().hex[:27]}"
    headers = {
        "svix-id": message_id,
        "svix-timestamp": str(int(now.timestamp())),
        "svix-signature": webhook.sign(message_id, now, body),
    }
    return {**event, "headers": {**(event.get("headers") or {}), **headers}}


def ready(
    event: Mapping[str, Any], *, secret: str | None, clerk: str
) -> dict[str, Any]:
    """The event with its placeholders, if it has any, made good.

    A signature needs the signing secret; a session token, a stub Clerk at that URL.
    """
    headers = event.get("headers") or {}
    if _PLACEHOLDER in headers.get("svix-signature", "") and secret:
        return signed(event, secret)
    if _PLACEHOLDER in headers.get("authorization", ""):
        clerk_id, token = _session_token(clerk)
        made_good = {
            **event,
            "headers": {**headers, "authorization": f"Bearer {token}"},
        }
        if event.get("body"):
            # The sample's user is not one of the stub's: the token's user is.
            body = json.loads(event["body"]) | {"userId": clerk_id}
            made_good["body"] = json.dumps(body)
        return made_good
    return dict(event)


def _session_token(clerk: str) -> tuple[str, str]:
    """Id and token of any user. Raises NotAuthenticatedError without a stub."""
    try:
        url = f"{clerk}/stub/session_token"
        answer = urllib3.request("POST", url, retries=False, timeout=5).json()
        return str(answer["user_id"]), str(answer["token"])
    except (urllib3.exceptions.HTTPError, ValueError, KeyError, TypeError):
        raise NotAuthenticatedError(
            "The event holds a placeholder for a session token, and only a stub Clerk "
            "gives one away: put a real one into its authorization header."
        ) from None


def load_event(text: str) -> dict[str, Any]:
    """Raises ValueError for anything but a JSON object."""
    event = json.loads(text)
    if not isinstance(event, dict):
        raise TypeError("not a JSON object")
    return event
