"""What the stub answers at Clerk's addresses."""

from collections.abc import Callable
from dataclasses import dataclass

from local.stub_clerk.api.listing import ListingSettings, count_users, list_users
from local.stub_clerk.errors import ClerkError
from local.stub_clerk.faults import Fault
from local.stub_clerk.instance import Instance
from local.stub_clerk.server import Answer, Call
from local.stub_clerk.session_tokens import SessionKey
from local.stub_clerk.users.changes import changes_of
from local.stub_clerk.users.lifecycle import UserLifecycle
from local.stub_clerk.webhooks.events import deleted_object
from local.stub_clerk.wire import to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """The parts of an instance that its API shows and changes."""

    instance: Instance
    secret_key: str
    session_key: SessionKey
    lifecycle: UserLifecycle
    listing: ListingSettings
    page_latency_ms: float
    pause: Callable[[float], None]
    """Waits so many milliseconds, but no longer than the stub is open."""


def answer(backend: Backend, call: Call, fault: Fault | None) -> Answer:
    """Answer a request for the Backend API or the public keys, spoilt by `fault`."""
    fault = fault or Fault()
    backend.pause(fault.delay_ms)
    if fault.breaks == "connection":
        return Answer(status=0, body=b"", cut="connection")
    if fault.body is not None:
        return Answer(
            status=fault.status or 200,
            body=fault.body.encode(),
            headers=fault.headers,
            cut=fault.breaks,
        )
    try:
        if error := fault.error():
            raise error
        return Answer(status=200, body=_body(backend, call), cut=fault.breaks)
    except ClerkError as error:
        return Answer(
            status=error.status,
            body=error.body(),
            headers=fault.headers,
            cut=fault.breaks,
        )


def _body(backend: Backend, call: Call) -> bytes:
    if (call.method, call.path) == ("GET", "/.well-known/jwks.json"):
        return to_json(backend.session_key.jwks)
    _authenticate(backend.secret_key, call)
    lifecycle = backend.lifecycle
    match call.method, call.path.removeprefix("/v1/").split("/"):
        case "GET", ["users"]:
            backend.pause(backend.page_latency_ms)
            body = list_users(lifecycle.users, call.query, backend.listing)
        case "GET", ["users", "count"]:
            total = count_users(lifecycle.users, call.query, backend.listing)
            body = to_json({"object": "total_count", "total_count": total})
        case "GET", ["users", user_id]:
            body = lifecycle.users.record(user_id).json
        case "POST", ["users"]:
            body = to_json(lifecycle.create(**changes_of(call.body)))
        case "PATCH", ["users", user_id]:
            changes = changes_of(call.body, lifecycle.users.user(user_id))
            body = to_json(lifecycle.update(user_id, **changes))
        case "DELETE", ["users", user_id]:
            body = to_json(deleted_object(lifecycle.delete(user_id)))
        case "GET", ["instance"]:
            body = to_json(backend.instance.json())
        case "GET", ["jwks"]:
            body = to_json(backend.session_key.jwks)
        case _:
            message = f"Nothing at {call.method} {call.path}"
            raise ClerkError(404, "resource_not_found", message)
    return body


def _authenticate(secret_key: str, call: Call) -> None:
    scheme, _, key = call.headers.get("authorization", "").partition(" ")
    if not scheme:
        raise ClerkError(401, "authentication_invalid", "No secret key was given.")
    if scheme.lower() != "bearer" or not key:
        code = "authorization_header_format_invalid"
        raise ClerkError(401, code, "Authorization must be 'Bearer <secret key>'.")
    if key.strip() != secret_key:
        raise ClerkError(401, "clerk_key_invalid", "The secret key is invalid.")
