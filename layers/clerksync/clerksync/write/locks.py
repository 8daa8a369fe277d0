"""Rows that the application has locked: nobody else waits for them."""

import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import psycopg

LOCKED: Final = "CS003"
"""Raised by our functions: rows are locked; the detail is their IDs."""
LOCK_TIMEOUT: Final = "55P03"
_CANCELED: Final = "57014"

WHILE_OTHERS_WAIT: Final = "100ms"
"""As a lock_timeout: how long a batch waits while it has the rows of others locked."""
_PAUSE: Final = 0.05

Locked = TypeVar("Locked")


def locked_ids(error: psycopg.Error, ids: Sequence[str]) -> set[str]:
    """Return which of the rows handed over are locked, as far as the error shows it."""
    if error.sqlstate == LOCKED:
        return set((error.diag.message_detail or "").split(","))
    if error.sqlstate == LOCK_TIMEOUT and len(ids) == 1:
        return set(ids)
    return set()


def took_too_long(error: psycopg.Error) -> bool:
    """Whether fewer rows might do: a lock was waited for, or the statement for its
    time."""
    return error.sqlstate in {LOCK_TIMEOUT, _CANCELED}


def until_unlocked(
    attempt: Callable[[list[Locked]], list[Locked]],
    locked: list[Locked],
    *,
    seconds: float,
) -> list[Locked]:
    """Try what is locked again, for so long; return what is still locked then.

    It is tried once at least.
    """
    until = time.monotonic() + seconds
    while locked:
        locked = attempt(locked)
        if not locked or time.monotonic() > until:
            break
        time.sleep(_PAUSE)
    return locked
