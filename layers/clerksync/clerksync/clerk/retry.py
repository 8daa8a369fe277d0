"""How long to insist on a response from Clerk."""

import random
from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

from clerksync.clerk.rate_limit import RateLimiter
from clerksync.clerk.refusal import TryAgainError
from clerksync.errors import ClerkUnavailableError
from clerksync.observability import count
from clerksync.time_limit import seconds_left

Response = TypeVar("Response")

_HINT: Final = "Check the network, CLERK_API_URL and CLERK_ISSUER, or try later."
_BACKOFF_SECONDS: Final = 0.5
# A 429 that does not say how long to wait is waited out for 1, 2, 4, … seconds.
_PAUSES_DOUBLED: Final = 6
# Not seeded at import: environments restored from one snapshot would wait alike.
_RANDOM: Final = random.SystemRandom()


class Patience(NamedTuple):
    """How long to insist on one response. A 429 is waited out and is no failed try."""

    retries: int
    """After a 5xx, a broken connection, a truncated response or one that is not
    Clerk's, with backoff."""
    longest_wait_seconds: float
    """In all. If waiting would take longer, Clerk counts as unavailable."""
    timeout_seconds: float
    """For connecting, and for each silence while reading."""
    longest_pause_seconds: float = 60
    """After one 429, whatever its Retry-After asks for."""


# Somebody is looking at a screen; the browser retries.
INTERACTIVE: Final = Patience(
    retries=1, longest_wait_seconds=2, timeout_seconds=5, longest_pause_seconds=5
)
BULK: Final = Patience(retries=5, longest_wait_seconds=300, timeout_seconds=30)


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
    tries, pauses, waited, problem = 0, 0, 0.0, "too many requests"
    while True:
        wait = rate_limiter.seconds_to_wait()
        if not wait:
            try:
                return ask()
            except TryAgainError as reason:
                problem = str(reason)
                if reason.too_many_requests:
                    asked = reason.retry_after_seconds or float(2**pauses)
                    rate_limiter.pause(min(asked, patience.longest_pause_seconds))
                    pauses = min(pauses + 1, _PAUSES_DOUBLED)
                    continue
                tries += 1
                wait = _RANDOM.uniform(0.5, 1) * _BACKOFF_SECONDS * 2**tries
        waited += wait
        too_long = waited > patience.longest_wait_seconds or wait > seconds_left()
        if tries > patience.retries or too_long:
            count("ClerkErrors")
            message = f"Clerk cannot be asked: {problem}. {_HINT}"
            wait = min(wait, patience.longest_pause_seconds)
            raise ClerkUnavailableError(message, wait)
        sleep(wait)
