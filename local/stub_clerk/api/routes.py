"""What the stub answers at Clerk's addresses."""

from typing import TYPE_CHECKING

from local.stub_clerk.api.listing import count_users, list_users
from local.stub_clerk.errors import ClerkError
from local.stub_clerk.faults import Fault
from local.stub_clerk.server import Answer, Call
from local.stub_clerk.users.changes import changes_of
from local.stub_clerk.webhooks.events import deleted_object
from local.stub_clerk.wire import to_json

if TYPE_CHECKING:  # the stub imports this module
    from local.stub_clerk.stub import StubClerk


def answer(stub: "StubClerk", call: Call, fault: Fault | None) -> Answer:
    """Answer a request for the Backend API or the public keys, spoilt by `fault`."""
    fault = fault or Fault()
    stub.pause(fault.delay_ms)
    if fault.breaks == "connection":
        return Answer(status=0, body=b"", cut="connection")
    try:
        if error := fault.error():
            raise error
        return Answer(status=200, body=_body(stub, call), cut=fault.breaks)
    except ClerkError as error:
        return Answer(
            status=error.status,
            body=error.body(),
            headers=fault.headers,
            cut=fault.breaks,
        )


def _body(stub: "StubClerk", call: Call) -> bytes:
    if (call.method, call.path) == ("GET", "/.well-known/jwks.json"):
        return to_json(stub.session_key.jwks)
    _authenticate(stub, call)
    match call.method, call.path.removeprefix("/v1/").split("/"):
        case "GET", ["users"]:
            stub.pause(stub.latency_ms)
            body = list_users(stub.users, call.query, stub.listing)
        case "GET", ["users", "count"]:
            total = count_users(stub.users, call.query, stub.listing)
            body = to_json({"object": "total_count", "total_count": total})
        case "GET", ["users", user_id]:
            body = stub.users.record(user_id).json
        case "POST", ["users"]:
            body = to_json(stub.create_user(**changes_of(call.body)))
        case "PATCH", ["users", user_id]:
            changes = changes_of(call.body, stub.get_user(user_id))
            body = to_json(stub.update_user(user_id, **changes))
        case "DELETE", ["users", user_id]:
            body = to_json(deleted_object(stub.delete_user(user_id)))
        case "GET", ["instance"]:
            body = to_json(stub.instance.json())
        case "GET", ["jwks"]:
            body = to_json(stub.session_key.jwks)
        case _:
            message = f"Nothing at {call.method} {call.path}"
            raise ClerkError(404, "resource_not_found", message)
    return body


def _authenticate(stub: "StubClerk", call: Call) -> None:
    scheme, _, key = call.headers.get("authorization", "").partition(" ")
    if not scheme:
        raise ClerkError(401, "authentication_invalid", "No secret key was given.")
    if scheme.lower() != "bearer" or not key:
        code = "authorization_header_format_invalid"
        raise ClerkError(401, code, "Authorization must be 'Bearer <secret key>'.")
    if key.strip() != stub.secret_key:
        raise ClerkError(401, "clerk_key_invalid", "The secret key is invalid.")
