"""What `clerksync dev` serves, in this process."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import pytest
import urllib3

from clerksync.settings.environment import Settings
from local.page.routes import Page
from local.stack.functions import close_connections, routes
from local.stack.gateway import Gateway
from local.stack.target import LocalSettings
from local.stub_clerk.stub import StubClerk
from tests.doors import forget_settings


@dataclass(frozen=True)
class Laptop:
    """The gateway with the page, and Clerk behind it."""

    url: str
    clerk: StubClerk

    def get(self, path: str, **headers: str) -> urllib3.BaseHTTPResponse:
        return urllib3.request(
            "GET", self.url + path, headers=_named(headers), retries=False, timeout=60
        )

    def post(self, path: str, body: object, **headers: str) -> Any:
        """As the page itself does."""
        return urllib3.request(
            "POST",
            self.url + path,
            body=json.dumps(body),
            headers={"origin": self.url, "content-type": "application/json"}
            | _named(headers),
            retries=False,
            timeout=60,
        )

    def self_sync(self, token: str, path: str = "/api/users/sync") -> int:
        """As a browser does, whatever page it shows; the status."""
        return urllib3.request(
            "POST",
            self.url + path,
            headers={"authorization": f"Bearer {token}"},
            retries=False,
            timeout=60,
        ).status

    def state(self, search: str = "") -> Any:
        answer = urllib3.request(
            "GET", f"{self.url}/page/state", fields={"q": search}, timeout=60
        )
        assert answer.status == 200, answer.data
        return answer.json()

    def user(self, clerk_id: str) -> Any:
        """As the page lists it."""
        (user,) = self.state(clerk_id)["users"]
        return user

    def sync_all(self) -> None:
        """The row of each user, by a run as the schedule makes it."""
        report = self.post("/page/sync", {}).json()
        assert report["status"] == "completed", report


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


@contextmanager
def laptop(
    monkeypatch: pytest.MonkeyPatch,
    database_url: str,
    *,
    users: int = 3,
    seed: int = 1,
    own: bool = False,
) -> Iterator[Laptop]:
    """With `own`, Clerk and database are those of the person's own settings."""
    with StubClerk(users=users, seed=seed) as clerk:
        forget_settings(monkeypatch)
        for name, value in asdict(LocalSettings.of(clerk, database_url)).items():
            monkeypatch.setenv(name, value)
        with served(clerk, own=own) as opened:
            clerk.webhook_url = f"{opened.url}/api/webhooks/clerk"
            yield opened
        close_connections()


@contextmanager
def served(clerk: StubClerk, *, own: bool = False) -> Iterator[Laptop]:
    """By the settings that are in the environment."""
    with (
        closing(Page(Settings(), None if own else clerk)) as page,
        Gateway(page.routes(routes())) as gateway,
    ):
        yield Laptop(gateway.url, clerk)
