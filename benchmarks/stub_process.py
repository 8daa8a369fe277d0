"""The stub Clerk in a process of its own, which shares no interpreter with anybody."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import urllib3

# So the stub renames whom it updates; none of its users begins so.
RENAMED: Final = "Renamed"


class StubProcess:
    def __init__(self, shown: dict[str, Any]) -> None:
        self.url: str = shown["url"]
        self.issuer: str = shown["issuer"]
        self.secret_key: str = shown["secret_key"]
        self.webhook_signing_secret: str = shown["webhook_signing_secret"]
        self._http = urllib3.PoolManager()

    @property
    def users(self) -> int:
        return int(self._ask("GET", "state")["users"])

    @property
    def requests(self) -> int:
        """Asked of its API so far; these questions here do not count."""
        return int(self._ask("GET", "state")["requests"])

    def delay(self, latency_ms: int) -> None:
        """Add a latency to each page of users from now on."""
        self._ask("POST", "settings", {"latency_ms": latency_ms})

    def change(self, action: str, count: int) -> None:
        """Update or delete so many users, and tell nobody."""
        self._ask("POST", "users", {"action": action, "count": count})

    def session_token(self) -> str:
        """Of any user, valid for a minute."""
        return str(self._ask("POST", "session_token", {})["token"])

    def _ask(self, method: str, name: str, body: Any = None) -> dict[str, Any]:
        answer = self._http.request(
            method, f"{self.url}/stub/{name}", json=body, timeout=600
        )
        if answer.status != 200:
            raise RuntimeError(f"the stub answered {answer.status}: {answer.json()}")
        told: dict[str, Any] = answer.json()
        return told


@contextmanager
def stub_process(users: int) -> Iterator[StubProcess]:
    """A production instance with the same users each time. A million take a minute."""
    options = ["--users", str(users), "--environment-type", "production"]
    command = [sys.executable, "-m", "local.stub_clerk", *options, "--exit-with-stdin"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield StubProcess(json.loads(process.stdout.readline()))
        finally:
            process.stdin.close()
