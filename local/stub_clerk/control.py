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
from collections.abc import Callable, Mapping
from typing import Any

from local.stub_clerk.errors import ClerkError
from local.stub_clerk.server import Answer, Call
from local.stub_clerk.users.lifecycle import UserLifecycle
from local.stub_clerk.wire import JSON, to_json

Command = Callable[[dict[str, Any]], JSON]
"""Accepts the parameters of a request and returns what the response shows."""
Commands = Mapping[tuple[str, str], Command]
"""By method and by the path after /stub/."""


def answer(commands: Commands, call: Call) -> Answer:
    """Run the command that another process asks for; a misuse of it is a 400."""
    try:
        params = json.loads(call.body or b"{}")
        return Answer(status=200, body=to_json(_run(commands, call, params)))
    except ClerkError as error:
        return Answer(status=error.status, body=error.body())
    except (AttributeError, TypeError, ValueError) as error:
        wrong = ClerkError(400, "stub_misused", repr(error))
        return Answer(status=400, body=wrong.body())


def _run(commands: Commands, call: Call, params: dict[str, Any]) -> JSON:
    command = commands.get((call.method, call.path.removeprefix("/stub/")))
    if command is None:
        raise ClerkError(404, "resource_not_found", f"Nothing at {call.path}")
    return command(params)


def change_users(
    lifecycle: UserLifecycle, *, action: str, count: int = 1, notify: bool = False
) -> list[str]:
    """Create so many users, or update or delete random ones, and return their ids.

    Raises ValueError for an unknown action, or if there are not so many users.
    """
    if action == "create":
        created = []
        for _ in range(count):
            address = f"new{random.getrandbits(64):x}@example.com"
            user = lifecycle.create(email=address, first_name="New", notify=notify)
            created.append(str(user["id"]))
        return created
    chosen = random.sample(lifecycle.users.ids(), count)
    for user_id in chosen:
        if action == "delete":
            lifecycle.delete(user_id, notify=notify)
        elif action == "update":
            name = f"Renamed{random.getrandbits(32):x}"
            lifecycle.update(user_id, first_name=name, notify=notify)
        else:
            raise ValueError(f"{action} is none of create, update, delete")
    return chosen
