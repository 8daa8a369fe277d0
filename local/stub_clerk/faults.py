"""What goes wrong between a client and the stub, on purpose."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from local.stub_clerk.errors import ClerkError

_CODES = {
    401: "authentication_invalid",
    404: "resource_not_found",
    429: "too_many_requests",
}


class StubRequest(NamedTuple):
    """A request as it came in; `number` counts from 1 since the last reset."""

    method: str
    path: str
    query: dict[str, list[str]]
    number: int


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens to one request.

    After `delay_ms` the request gets `status` with an error body of Clerk's form and
    is not carried out; or, without a `status`, its real answer. With a `body`, the
    answer is that of a proxy: this body, whatever the status, and `headers`. `breaks`
    then spoils the answer, whichever it is:

    - `connection`: closed without a byte of an answer; nothing is carried out.
    - `body`: half of the promised body, then closed.
    - `json`: a whole and valid HTTP answer, whose JSON stops half-way.
    """

    status: int | None = None
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    delay_ms: float = 0
    breaks: Literal["connection", "body", "json"] | None = None

    def error(self) -> ClerkError | None:
        """Return the answer that takes the place of the real one, if one does."""
        if self.status is None:
            return None
        code = self.code or _CODES.get(self.status, "internal_clerk_error")
        return ClerkError(self.status, code, "The stub was told to fail.")


Interfere = Callable[[StubRequest], Fault | None]


class FaultPlan:
    """Keeps what has been planned, and the time window of the rate limit."""

    def __init__(self) -> None:
        self._planned: deque[tuple[str, Fault]] = deque()
        self._window_ends = 0.0
        self._in_window = 0
        self._lock = threading.Lock()

    def fail_next(
        self,
        count: int = 1,
        *,
        status: int = 429,
        retry_after: int | None = 1,
        path: str = "/v1/",
        fault: Fault | None = None,
    ) -> None:
        """Let the next `count` requests whose path begins with `path` fail.

        They get `status` with a `Retry-After` in seconds, or what `fault` says.
        """
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        fault = fault or Fault(status=status, headers=headers)
        with self._lock:
            self._planned.extend([(path, fault)] * count)

    def clear(self) -> None:
        """Forget what was planned."""
        with self._lock:
            self._planned.clear()

    def next_planned(self, request: StubRequest) -> Fault | None:
        """Take the first fault planned for such a path, if there is one."""
        with self._lock:
            for planned in self._planned:
                if request.path.startswith(planned[0]):
                    self._planned.remove(planned)
                    return planned[1]
        return None

    def over_rate_limit(
        self, request: StubRequest, limit: int | None, window_s: float
    ) -> Fault | None:
        """Return the 429 for a request above `limit` within `window_s` seconds.

        Clerk does not say where its windows begin; here one begins with the first
        request after the last window.
        """
        # JWKS are not rate-limited, in Clerk either.
        if limit is None or request.path.endswith(("/jwks", "/jwks.json")):
            return None
        with self._lock:
            now = time.monotonic()
            if now >= self._window_ends:
                self._window_ends = now + window_s
                self._in_window = 0
            self._in_window += 1
            if self._in_window <= limit:
                return None
            wait = str(math.ceil(self._window_ends - now))
            return Fault(status=429, headers={"Retry-After": wait})
