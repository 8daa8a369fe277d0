"""Routes under /stub/, for a stub that runs in a process of its own.

They need no key and are no part of Clerk. POST takes a JSON object, all is optional:

    GET  /stub/state          users, requests, deliveries, delivered
    POST /stub/settings       latency_ms, rate_limit, webhook_url, rate_limit_window_s
    POST /stub/users          action (create, update, delete), count, notify (false)
    POST /stub/session_token  user_id (a random one), lifetime_seconds, headers, claims
    POST /stub/faults         count, path, and the fields of Fault; {} clears all faults
"""

import json
import random
from typing import TYPE_CHECKING, Any

from local.stub_clerk.errors import ClerkError
from local.stub_clerk.faults import Fault
from local.stub_clerk.server import Answer, Call
from local.stub_clerk.wire import JSON, to_json

if TYPE_CHECKING:  # the stub imports this module
    from local.stub_clerk.stub import StubClerk

_SETTINGS = ("latency_ms", "rate_limit", "rate_limit_window_s", "webhook_url")


def answer(stub: "StubClerk", call: Call) -> Answer:
    """Do what another process asks of the stub; a misuse of a route is a 400."""
    try:
        params = json.loads(call.body or b"{}")
        return Answer(status=200, body=to_json(_done(stub, call, params)))
    except ClerkError as error:
        return Answer(status=error.status, body=error.body())
    except (AttributeError, TypeError, ValueError) as error:
        wrong = ClerkError(400, "stub_misused", repr(error))
        return Answer(status=400, body=wrong.body())


def _done(stub: "StubClerk", call: Call, params: dict[str, Any]) -> JSON:
    match call.method, call.path.removeprefix("/stub/"):
        case "GET", "state":
            pass
        case "POST", "settings":
            _set(stub, params)
        case "POST", "users":
            return {"ids": _change_users(stub, **params)}
        case "POST", "session_token":
            user_id = params.pop("user_id", None) or random.choice(stub.ids())
            claims = params.pop("claims", {})
            token = stub.session_token(user_id, **params, **claims)
            return {"user_id": user_id, "token": token}
        case "POST", "faults" if params:
            count, path = params.pop("count", 1), params.pop("path", "/v1/")
            stub.fail_next(count, path=path, fault=Fault(**params))
        case "POST", "faults":
            stub.reset_faults()
        case _:
            raise ClerkError(404, "resource_not_found", f"Nothing at {call.path}")
    return {
        "users": stub.count,
        "requests": stub.requests,
        "deliveries": len(stub.deliveries),
        "delivered": sum(delivery.delivered for delivery in stub.deliveries),
    }


def _set(stub: "StubClerk", params: dict[str, Any]) -> None:
    for name, value in params.items():
        if name not in _SETTINGS:
            raise ValueError(f"{name} is none of {', '.join(_SETTINGS)}")
        setattr(stub, name, value)


def _change_users(
    stub: "StubClerk", *, action: str, count: int = 1, notify: bool = False
) -> list[str]:
    if action == "create":
        created = []
        for _ in range(count):
            address = f"new{random.getrandbits(64):x}@example.com"
            user = stub.create_user(email=address, first_name="New", notify=notify)
            created.append(str(user["id"]))
        return created
    chosen = random.sample(stub.ids(), count)
    for user_id in chosen:
        if action == "delete":
            stub.delete_user(user_id, notify=notify)
        elif action == "update":
            name = f"Renamed{random.getrandbits(32):x}"
            stub.update_user(user_id, first_name=name, notify=notify)
        else:
            raise ValueError(f"{action} is none of create, update, delete")
    return chosen
