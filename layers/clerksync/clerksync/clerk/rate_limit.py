"""Clerk's rate limit, kept by all threads together."""

import threading
import time
from collections import deque
from typing import Final

# Clerk takes 1000 requests in 10 seconds from a production instance and 100 from a
# development one (its documentation, 2026). A tenth is left to the application.
_PRODUCTION: Final = 900
_DEVELOPMENT: Final = 90
_WINDOW_SECONDS: Final = 10.0


class RateLimiter:
    """Lets through `limit` requests in any 10 seconds, and none during a pause.

    Until a limit is set, any number.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._sent: deque[float] = deque()
        self._limit = limit
        self._closed_until = 0.0
        self._lock = threading.Lock()

    def set_limit(self, limit: int) -> None:
        with self._lock:
            self._limit = limit

    def pause(self, seconds: float) -> None:
        """Let nobody through for so long: Clerk has said 429 to one of us."""
        with self._lock:
            until = time.monotonic() + seconds
            self._closed_until = max(self._closed_until, until)

    def seconds_to_wait(self) -> float:
        """0: one request may go, and is counted. Else ask again after so long."""
        with self._lock:
            now = time.monotonic()
            while self._sent and self._sent[0] <= now - _WINDOW_SECONDS:
                self._sent.popleft()
            free_at = self._closed_until
            if self._limit is not None and len(self._sent) >= self._limit:
                free_at = max(free_at, self._sent[-self._limit] + _WINDOW_SECONDS)
            if free_at > now:
                return free_at - now
            self._sent.append(now)
            return 0.0


def limit_of(*, is_production: bool) -> int:
    """Requests in 10 seconds that are ours of what Clerk allows an instance."""
    return _PRODUCTION if is_production else _DEVELOPMENT
