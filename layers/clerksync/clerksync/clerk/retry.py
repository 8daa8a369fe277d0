"""How long to insist on a response from Clerk, and what a refusal means."""

import json
import random
from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

import urllib3

from clerksync.clerk.rate_limit import RateLimiter, pause_after_429
from clerksync.errors import ClerkRequestError, ClerkUnavailableError
from clerksync.observability import count
from clerksync.time_limit import seconds_left

Response = TypeVar("Response")

_HINT: Final = "Check the network, CLERK_API_URL and CLERK_ISSUER, or try later."
_BACKOFF_SECONDS: Final = 0.5
# Not seeded at import: environments restored from one snapshot would wait alike.
_RANDOM: Final = random.SystemRandom()


class Patience(NamedTuple):
    """How long to insist on one response. A 429 is waited out and is no failed try."""

    retries: int
    """After a 5xx, a broken connection or a truncated response, with backoff."""
    longest_wait_seconds: float
    """In all. If waiting would take longer, Clerk counts as unavailable."""
    timeout_seconds: float
    """For connecting, and for each silence while reading."""


# Somebody is looking at a screen; the browser retries.
INTERACTIVE: Final = Patience(retries=1, longest_wait_seconds=2, timeout_seconds=5)
BULK: Final = Patience(retries=5, longest_wait_seconds=300, timeout_seconds=30)


class TryAgainError(Exception):
    """A retry may help; `retry_after_seconds` is set after a 429."""

    def __init__(self, problem: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(problem)
        self.retry_after_seconds = retry_after_seconds


def insist(
    ask: Callable[[], Response],
    patience: Patience,
    rate_limiter: RateLimiter,
    *,
    sleep: Callable[[float], None],
) -> Response:
    """Call `ask` within the rate limit until it does not raise TryAgainError.

    A 429 stops everybody who shares the rate limiter. Raises ClerkUnavailableError if
    the patience or the time limit of the request does not last, and whatever else
    `ask` and `sleep` (seconds) raise.
    """
    tries, waited, problem = 0, 0.0, "too many requests"
    while True:
        wait = rate_limiter.seconds_to_wait()
        if not wait:
            try:
                return ask()
            except TryAgainError as reason:
                problem = str(reason)
                if reason.retry_after_seconds is not None:
                    rate_limiter.pause(reason.retry_after_seconds)
                    continue
                tries += 1
                wait = _RANDOM.uniform(0.5, 1) * _BACKOFF_SECONDS * 2**tries
        waited += wait
        too_long = waited > patience.longest_wait_seconds or wait > seconds_left()
        if tries > patience.retries or too_long:
            count("ClerkErrors")
            message = f"Clerk cannot be asked: {problem}. {_HINT}"
            raise ClerkUnavailableError(message, wait)
        sleep(wait)


def refusal(response: urllib3.BaseHTTPResponse) -> Exception:
    """What an answer other than 200 means."""
    if response.status == 429:
        return TryAgainError("too many requests", pause_after_429(response.headers))
    if response.status >= 500:
        return TryAgainError(f"status {response.status}")
    if response.status == 401:
        message = "Clerk does not accept CLERK_SECRET_KEY: check key and instance."
    else:
        message = f"Clerk answered {response.status} ({_error_code(response)})."
    return ClerkRequestError(message, response.status)


def _error_code(response: urllib3.BaseHTTPResponse) -> str:
    try:
        return str(json.loads(response.data)["errors"][0]["code"])
    except (ValueError, LookupError, TypeError):
        return "no error code"
