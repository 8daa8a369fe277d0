"""The self-sync function, Clerk behind it, and a browser in front of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from functions.self_sync import app
from local.stub_clerk.stub import StubClerk
from tests.doors import (
    Answer,
    api_request,
    ask,
)

SYNC = "/api/users/sync"
ME = "/api/users/me"
ROUTES = [("POST", SYNC), ("GET", ME)]


@dataclass
class Door:
    """The function, Clerk behind it, and Noor Castell in front of it."""

    clerk: StubClerk
    user_id: str
    waits: list[float]

    def token(self, **options: Any) -> str:
        return self.clerk.session_token(self.user_id, **options)

    def ask(self, method: str, path: str, token: str = "", **request: Any) -> Answer:
        if token:
            request["headers"] = {"authorization": f"Bearer {token}"}
        return ask(app, api_request(method, path, **request))

    def sync(self, token: str = "", **request: Any) -> Answer:
        return self.ask("POST", SYNC, token or self.token(), **request)

    def me(self, token: str = "", **request: Any) -> Answer:
        return self.ask("GET", ME, token or self.token(), **request)

    def asked(self, path: str = "/v1/users") -> int:
        """How often Clerk was asked for something below a path."""
        return sum(r.path.startswith(path) for r in self.clerk.request_log)


def assert_row(shown: dict[str, Any], row: dict[str, Any]) -> None:
    """What the browser gets is the row, times in ISO 8601."""
    assert {"id", "email", "name", "tier", "created_at", "updated_at"} <= set(shown)
    for name, value in shown.items():
        is_time = isinstance(row[name], datetime)
        assert (datetime.fromisoformat(value) if is_time else value) == row[name]
