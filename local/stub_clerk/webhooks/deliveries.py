"""Delivery of webhooks as Svix does it: in the background, retried, in no order."""

import heapq
import http.client
import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from local.stub_clerk.webhooks.events import new_message_id
from local.stub_clerk.wire import JSON, now_ms, to_json

# The first attempt is made at once, each later one so long after a failure.
RETRY_SCHEDULE_S = (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 36_000)
_TIMEOUT_S = 15.0
_RESPONSE_BYTES = 500
_WORKERS = 8


@dataclass(frozen=True)
class Attempt:
    """One try: its time (Unix ms), and the status or what kept it from getting one."""

    at_ms: int
    status: int | None
    error: str | None = None
    response: str = ""
    """How the body of the answer begins."""

    @property
    def succeeded(self) -> bool:
        """Return whether the answer was a 2xx; a redirect is not one."""
        return self.status is not None and self.status in range(200, 300)


@dataclass(eq=False)
class Delivery:
    """A message to the endpoint; `given_up` once the retry schedule has run out."""

    message_id: str
    body: bytes
    attempts: list[Attempt] = field(default_factory=list)
    delivered: bool = False
    given_up: bool = False
    held: bool = False

    @property
    def event(self) -> JSON:
        """Return a copy of the event."""
        event: JSON = json.loads(self.body)
        return event

    @property
    def event_type(self) -> str:
        """Return the event's type, such as `user.created`."""
        return str(self.event["type"])


class Sender:
    """Delivers messages, retrying by Svix's schedule times `time_scale`.

    `endpoint` and `sign` are asked anew for each attempt: the signed timestamp is
    fresh while the message id stays, and an endpoint may move.
    """

    def __init__(
        self,
        endpoint: Callable[[], str | None],
        sign: Callable[[bytes, str], dict[str, str]],
        time_scale: float,
    ) -> None:
        self.deliveries: list[Delivery] = []
        self.time_scale = time_scale
        self.holding = False
        self.changes = 0  # grows with whatever becomes of a delivery
        self._endpoint = endpoint
        self._sign = sign
        # (monotonic time, running number, attempts made before, one after the other)
        self._due: list[tuple[float, int, int, Sequence[Delivery]]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._in_flight: set[socket.socket | None] = set()
        self._closed = False

    def send(self, event: JSON, message_id: str | None = None) -> Delivery:
        """Start delivering `event` at once; returns without waiting for it."""
        delivery = Delivery(message_id or new_message_id(), to_json(event))
        with self._changed:
            self.deliveries.append(delivery)
            self.changes += 1
            delivery.held = self.holding
            if not delivery.held:
                self._schedule([delivery], 0)
            if not self._threads and not self._closed:
                self._start_workers()
        return delivery

    def hold(self) -> None:
        """Keep back what is sent from now on; `replay` sends one of it all the same."""
        with self._changed:
            self.holding = True
            self.changes += 1

    def release(self, *, newest_first: bool = False) -> None:
        """Hold no more, and send what was kept back, one after the other."""
        with self._changed:
            self.holding = False
            self.changes += 1
            kept = [delivery for delivery in self.deliveries if delivery.held]
            for delivery in kept:
                delivery.held = False
            if kept:
                self._schedule(kept[::-1] if newest_first else kept, 0)

    def replay(self, delivery: Delivery) -> None:
        """Send a message again, under its id, with the whole schedule before it."""
        with self._changed:
            delivery.delivered = delivery.given_up = delivery.held = False
            self.changes += 1
            self._schedule([delivery], 0)

    def wait(self, timeout: float = 5.0) -> bool:
        """Wait until each message is delivered or given up; False after `timeout`.

        Seconds. A message that waits for its next attempt is neither.
        """
        with self._changed:
            return self._changed.wait_for(
                lambda: all(d.delivered or d.given_up for d in self.deliveries),
                timeout,
            )

    def close(self) -> None:
        """Stop at once; what is not delivered stays undelivered."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            for in_flight in filter(None, self._in_flight):
                with suppress(OSError):  # it may have ended by itself meanwhile
                    in_flight.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=2)

    def _start_workers(self) -> None:
        for _ in range(_WORKERS):
            thread = threading.Thread(
                target=self._work, name="stub-clerk-svix", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def _schedule(self, deliveries: Sequence[Delivery], made: int) -> None:
        at = time.monotonic() + RETRY_SCHEDULE_S[made] * self.time_scale
        heapq.heappush(self._due, (at, next(self._numbers), made, deliveries))
        self._changed.notify()

    def _work(self) -> None:
        while due := self._next_due():
            made, deliveries = due
            for delivery in deliveries:
                self._deliver(delivery, made)

    def _deliver(self, delivery: Delivery, made: int) -> None:
        attempt = self._attempt(delivery)
        with self._changed:
            delivery.attempts.append(attempt)
            self.changes += 1
            if attempt.succeeded:
                delivery.delivered = True
            elif made + 1 == len(RETRY_SCHEDULE_S):
                delivery.given_up = True
            else:
                self._schedule([delivery], made + 1)
            self._changed.notify_all()

    def _next_due(self) -> tuple[int, Sequence[Delivery]] | None:
        with self._changed:
            while not self._closed:
                wait_s = self._due[0][0] - time.monotonic() if self._due else None
                if wait_s is not None and wait_s <= 0:
                    return heapq.heappop(self._due)[2:]
                self._changed.wait(wait_s)
        return None

    def _attempt(self, delivery: Delivery) -> Attempt:
        at_ms = now_ms()
        headers = self._sign(delivery.body, delivery.message_id)
        try:
            status, response = self._post(delivery.body, headers)
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Attempt(at_ms, None, repr(error))
        return Attempt(at_ms, status, response=response)

    def _post(self, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        """Return status and response; the timeout is for each silence."""
        url = urlsplit(self._endpoint() or "")
        secure = url.scheme == "https"
        make = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = make(url.hostname or "", url.port, timeout=_TIMEOUT_S)
        in_flight: socket.socket | None = None
        try:
            connection.connect()
            with self._changed:
                if self._closed:
                    raise ConnectionAbortedError("the stub is being closed")
                # The connection itself forgets it when an answer says close.
                in_flight = connection.sock
                self._in_flight.add(in_flight)
            target = f"{url.path or '/'}?{url.query}".rstrip("?")
            everything = headers | {
                "Content-Type": "application/json",
                "User-Agent": "Svix-Webhooks/1.0 (stub)",
            }
            connection.request("POST", target, body, everything)
            response = connection.getresponse()
            kept = response.read()[:_RESPONSE_BYTES].decode(errors="replace")
            return response.status, kept
        finally:
            with self._changed:
                self._in_flight.discard(in_flight)
            connection.close()
