"""The webhook function, and Clerk in front of it."""

import json
from dataclasses import dataclass
from typing import Any

from functions.webhook import app
from local.stub_clerk.stub import StubClerk
from tests.doors import (
    Answer,
    api_request,
    ask,
)
from tests.people import user_id, user_json

PATH = "/api/webhooks/clerk"
OTHER_SECRET = "whsec_b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldA=="


@dataclass
class Door:
    """The function, and Clerk as the sender that knows its signing secret."""

    clerk: StubClerk

    def deliver(self, event: Any, **headers: str) -> Answer:
        """Sign an event, or a body, and post it. Headers replace those signed."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.post(body, self.clerk.sign(body) | names)

    def post(self, body: bytes, headers: dict[str, str]) -> Answer:
        return ask(app, api_request("POST", PATH, body=body, headers=headers))

    def send(self, event_type: str, user: Any) -> Answer:
        return self.deliver(self.clerk.event(event_type, user))

    def created(self, number: int = 1, **fields: Any) -> Answer:
        return self.send("user.created", user_json(number, **fields))

    def updated(self, number: int = 1, *, version: int = 1, **fields: Any) -> Answer:
        return self.send("user.updated", user_json(number, version=version, **fields))

    def deleted(self, number: int = 1) -> Answer:
        return self.send("user.deleted", user_id(number))


def action(answer: Answer) -> str:
    """What a successful answer says, and that it says nothing else."""
    assert (answer.status, answer.body["success"]) == (200, True), answer
    assert set(answer.body) == {"success", "action"}
    return str(answer.body["action"])
