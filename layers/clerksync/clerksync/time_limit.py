"""How long a request may take, wherever it waits."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Let the block wait for so many seconds in all.

    Who waits for Postgres, Clerk or Secrets Manager asks `seconds_left`. Threads that
    the block starts are not limited.
    """
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def seconds_left() -> float:
    """Until the limit is over; negative after it, infinite where there is none."""
    return _deadline.get() - time.monotonic()
