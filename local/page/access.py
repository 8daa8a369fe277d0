"""Who is let in: a browser on this machine, and no page but our own."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from local.stack.gateway import Handler

Event = Mapping[str, Any]
Answer = dict[str, Any]

_LOOPBACK: Final = {"127.0.0.1", "localhost", "::1"}
# What a proxy adds. A tunnel for webhooks must not show the users to the world.
_FORWARDED: Final = ("forwarded", "via", "x-real-ip", "cf-connecting-ip")
_HEADERS: Final = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; object-src 'none'; "
    "require-trusted-types-for 'script'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def guarded(handle: Callable[[Event], Answer], *, acts: bool = False) -> Handler:
    """Make a handler that answers 403 to all but a browser on this machine.

    With `acts` it also has to be our own page that posts JSON: another page, open in
    the same browser, can send requests here and must not change anything.
    """

    def handler(event: Event, _context: object) -> Answer:
        answer = _refusal(event, acts=acts) or handle(event)
        return answer | {"headers": _HEADERS | answer.get("headers", {})}

    return handler


def as_json(status: int, body: Any, **headers: str) -> Answer:
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json"} | headers,
        "body": json.dumps(body),
    }


def refused(status: int, reason: str) -> Answer:
    return as_json(status, {"error": reason})


def _refusal(event: Event, *, acts: bool) -> Answer | None:
    headers = event["headers"]
    # A name that was made to point here is another site's (DNS rebinding).
    if _host(headers) not in _LOOPBACK or _came_by_proxy(headers):
        return refused(403, "This page is only for a browser on the same machine.")
    site = headers.get("sec-fetch-site", "none")
    if event["rawPath"] != "/" and site not in {"none", "same-origin"}:
        return refused(403, "This is only for the page itself.")
    if not acts:
        return None
    if headers.get("origin") != f"http://{headers['host']}":
        return refused(403, "Actions are only for the page itself.")
    if headers.get("content-type") != "application/json":
        return refused(415, "The body must be application/json.")
    return None


def _host(headers: Mapping[str, str]) -> str | None:
    try:
        return urlsplit(f"//{headers.get('host', '')}").hostname
    except ValueError:
        return None


def _came_by_proxy(headers: Mapping[str, str]) -> bool:
    return any(
        name in _FORWARDED or name.startswith("x-forwarded-") for name in headers
    )
