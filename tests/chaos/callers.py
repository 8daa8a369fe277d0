"""Clerk's sender and signed-in browsers, calling the functions all the time."""

import heapq
import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from local.stack.functions import signed
from local.stub_clerk.stub import StubClerk
from tests.chaos.environment import Answer, Environment

JSON = dict[str, Any]

_EVENTS: Final = Path(__file__).parents[2] / "events"
# Svix waits five seconds, then five minutes. Here a second each time, or we would.
_RETRY_SECONDS: Final = 1.0
_PATIENCE_SECONDS: Final = 60.0
# Between two calls to one environment: a load, but no benchmark.
_PAUSE_SECONDS: Final = 0.01


@dataclass
class Calls:
    """What the callers of one door got."""

    statuses: Counter[int | None] = field(default_factory=Counter)
    slowest: float = 0.0
    """Seconds."""
    last_failure_at: float = 0.0
    """Of time.monotonic()."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, answer: Answer) -> None:
        with self._lock:
            self.statuses[answer.status] += 1
            self.slowest = max(self.slowest, answer.seconds)
            if answer.status != 200:
                self.last_failure_at = time.monotonic()


class Changes:
    """Lets users come, change and go at Clerk; gives the event of each change."""

    def __init__(self, clerk: StubClerk) -> None:
        self._clerk = clerk
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def next_event(self) -> JSON:
        with self._lock:
            number = next(self._numbers)
            unique = f"{number}.{random.getrandbits(40):x}"
            kind = random.choices(("update", "email", "create", "delete"), (6, 2, 2, 1))
            if kind == ["create"]:
                user = self._clerk.create_user(
                    email=f"new{unique}@example.com", first_name="New", notify=False
                )
                return self._clerk.event("user.created", user)
            clerk_id = random.choice(self._clerk.ids())
            if kind == ["delete"]:
                self._clerk.delete_user(clerk_id, notify=False)
                return self._clerk.event("user.deleted", clerk_id)
            change = {"first_name": f"Changed{unique}"}
            if kind == ["email"]:
                change = {"email": f"moved{unique}@example.com"}
            user = self._clerk.update_user(clerk_id, notify=False, **change)
            return self._clerk.event("user.updated", user)

    def many(self, count: int) -> None:
        """Behind everybody's back."""
        for _ in range(count):
            self.next_event()


class Callers:
    """A thread for each environment, which calls it until told to stop.

    All but the last deliver webhooks: signed anew for each attempt, and again after a
    failure, in no order. The last one syncs users as their browsers would.
    """

    def __init__(
        self,
        environments: Sequence[Environment],
        clerk: StubClerk,
        changes: Changes,
        *,
        issuer: str,
    ) -> None:
        self.webhooks, self.self_syncs = Calls(), Calls()
        self._clerk = clerk
        self._changes = changes
        self._issuer = issuer
        self._stopped = threading.Event()
        self._due: list[tuple[float, int, JSON]] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        *deliver, browse = environments
        self._threads = [
            threading.Thread(target=self._deliver, args=[environment])
            for environment in deliver
        ]
        self._browser = threading.Thread(target=self._browse, args=[browse])
        for thread in (*self._threads, self._browser):
            thread.start()

    def stop(self) -> None:
        """Change nothing more, and deliver what is still to be delivered."""
        self._give_up_at = time.monotonic() + _PATIENCE_SECONDS
        self._stopped.set()
        for thread in (*self._threads, self._browser):
            thread.join()

    @property
    def undelivered(self) -> int:
        return len(self._due)

    def _deliver(self, environment: Environment) -> None:
        webhook = json.loads((_EVENTS / "user_created.json").read_text("utf-8"))
        while not self._is_over():
            event = self._next()
            if event is None:
                time.sleep(_PAUSE_SECONDS)
                continue
            request = signed(
                webhook | {"body": json.dumps(event)},
                self._clerk.webhook_signing_secret,
            )
            answer = environment.invoke("webhook", request)
            self.webhooks.note(answer)
            if answer.status != 200:
                with self._lock:
                    at = time.monotonic() + _RETRY_SECONDS
                    heapq.heappush(self._due, (at, next(self._numbers), event))
            self._stopped.wait(_PAUSE_SECONDS)

    def _is_over(self) -> bool:
        if not self._stopped.is_set():
            return False
        return not self._due or time.monotonic() > self._give_up_at

    def _next(self) -> JSON | None:
        """A delivery that is due; else, until stopped, a new one."""
        with self._lock:
            if self._due and self._due[0][0] <= time.monotonic():
                return heapq.heappop(self._due)[2]
        return None if self._stopped.is_set() else self._changes.next_event()

    def _browse(self, environment: Environment) -> None:
        self_sync = json.loads((_EVENTS / "self_sync.json").read_text("utf-8"))
        while not self._stopped.is_set():
            clerk_id = random.choice(self._clerk.ids())
            token = self._clerk.session_token(clerk_id, iss=self._issuer)
            headers = self_sync["headers"] | {"authorization": f"Bearer {token}"}
            request = self_sync | {"headers": headers}
            answer = environment.invoke("self_sync", request)
            # Deleted between the token and the question, or without an email.
            if answer.status not in {400, 401}:
                self.self_syncs.note(answer)
            self._stopped.wait(_PAUSE_SECONDS)
