"""API Gateway HTTP API, payload format 2.0: events in, responses out, errors mapped."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from clerksync.errors import (
    ClerksyncError,
    ClerkUnavailableError,
    ForbiddenError,
    InvalidPayloadError,
    InvalidSettingError,
    InvalidSignatureError,
    MissingEmailError,
    MissingSettingError,
    NotAuthenticatedError,
    UnreadableUserError,
)
from clerksync.observability import (
    count,
    count_failure,
    describe,
    flush_metrics,
    logger,
)
from clerksync.time_limit import time_limit

# Another one is for giving up, and two are a margin: an answer within 10 seconds.
# Clerk's sender waits for 15.
_SECONDS: Final = 7.0
_UNAVAILABLE: Final = "Clerk cannot be asked at the moment. Try again."

Event = Mapping[str, Any]


class Request(NamedTuple):
    method: str
    path: str
    """Of the route, if the gateway names one. Otherwise the request's, in which the
    base path of a custom domain may come first."""
    headers: Mapping[str, str]
    """Names in lower case."""
    cookies: Mapping[str, str]
    body: bytes


class Response(NamedTuple):
    status: int
    body: dict[str, Any]
    headers: Mapping[str, str] = {}


# Errors whose message the client gets, and how each is counted, as in
# WebhooksRejectedSignature or SelfSyncsFailed.
_COUNTED: Final[dict[type[ClerksyncError], str]] = {
    InvalidSignatureError: "RejectedSignature",
    InvalidPayloadError: "RejectedPayload",
    MissingEmailError: "RejectedPayload",
    NotAuthenticatedError: "RejectedToken",
    ForbiddenError: "RejectedUser",
    MissingSettingError: "Failed",
    InvalidSettingError: "Failed",
    ClerkUnavailableError: "Failed",
    UnreadableUserError: "Failed",
}


def http_door(
    handle: Callable[[Request], Response], *, counted_as: str
) -> Callable[[Event, object], dict[str, Any]]:
    """Make a Lambda handler of a function from request to response.

    Every exception becomes a status here, and nowhere else. What is not foreseen is a
    500 without detail: the sender of a webhook tries again. Whoever keeps us waiting,
    there is an answer within 10 seconds.
    """

    def handler(event: Event, _context: object) -> dict[str, Any]:
        try:
            with time_limit(_SECONDS):
                response = handle(_request(event))
        except tuple(_COUNTED) as error:
            response = _refusal(error, counted_as)
        except Exception as error:  # noqa: BLE001 - the door: logged, counted, answered
            logger.error("request failed", **describe(error))
            count(f"{counted_as}Failed")
            count_failure(error)
            response = Response(
                500, {"error": "Internal error. See the function's log."}
            )
        finally:
            flush_metrics()
            # The next request is another delivery, about another user.
            logger.remove_keys(["svix_id", "clerk_id"])
        return _as_payload(response)

    return handler


def _refusal(error: ClerksyncError, counted_as: str) -> Response:
    counted = next(word for kind, word in _COUNTED.items() if isinstance(error, kind))
    count(counted_as + counted)
    log = logger.error if error.http_status >= 500 else logger.warning
    log("request refused", status=error.http_status, **describe(error))
    # What was received in Clerk's place may name hosts: it is for the log only.
    hidden = isinstance(error, ClerkUnavailableError)
    shown = _UNAVAILABLE if hidden else str(error)
    return Response(error.http_status, {"error": shown}, error.http_headers)


def _request(event: Event) -> Request:
    http = event.get("requestContext", {}).get("http", {})
    cookies: dict[str, str] = {}
    for cookie in event.get("cookies") or ():
        name, _, value = cookie.partition("=")
        cookies.setdefault(name.strip(), value.strip())
    return Request(
        method=http.get("method", "POST"),
        path=_route(event) or event.get("rawPath") or http.get("path", "/"),
        headers={k.lower(): v for k, v in (event.get("headers") or {}).items()},
        cookies=cookies,
        body=_body(event),
    )


def _route(event: Event) -> str | None:
    """The path of the gateway's own route key, such as "POST /api/users/sync". A stage
    or the base path of a custom domain stands in the raw path, and not in this one."""
    path = str(event.get("routeKey")).partition(" ")[2]
    return path if path.startswith("/") and "{" not in path else None


def _body(event: Event) -> bytes:
    body: str = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return body.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidPayloadError("The body is not valid base64.") from error


def _as_payload(response: Response) -> dict[str, Any]:
    return {
        "statusCode": response.status,
        "headers": {
            "content-type": "application/json",
            "cache-control": "no-store",
            **response.headers,
        },
        "body": json.dumps(response.body, default=_as_json),
    }


def _as_json(value: object) -> str | float:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} has no JSON form here")
