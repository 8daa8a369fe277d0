"""Rows that the application has locked: nobody else waits for them."""

import re
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import psycopg
from psycopg import errors

from clerksync.errors import OutOfTimeError, RowLockedError
from clerksync.time_limit import seconds_left

LOCKED: Final = "CS003"
"""Raised by our functions: rows are locked; the detail is their IDs."""
LOCK_TIMEOUT: Final = "55P03"
_CANCELED: Final = "57014"

WHILE_OTHERS_WAIT: Final = "100ms"
"""As a lock_timeout: how long a batch waits while it has the rows of others locked."""
ONE_ROW: Final = f"SET LOCAL lock_timeout = '{WHILE_OTHERS_WAIT}'"
SEVERAL_ROWS: Final = f"SET LOCAL statement_timeout = '1s'; {ONE_ROW}"
"""Nobody should wait for long until a batch unlocks what it writes."""
_PAUSE: Final = 0.05
# On purpose, so about the row that a trigger was looking at, unless our own functions
# raised it. The innermost comes first.
_RAISED: Final = re.compile(
    r"PL/pgSQL function (?!\S*clerksync_)[^\n]* at RAISE$", re.MULTILINE
)

_MOST_ATTEMPTS: Final = 5

Locked = TypeVar("Locked")
Result = TypeVar("Result")


def is_lock(error: psycopg.Error) -> bool:
    """Whether another transaction has a row, or the table, locked."""
    return error.sqlstate in {LOCKED, LOCK_TIMEOUT} and not raised_by_trigger(error)


def locked_ids(error: psycopg.Error, ids: Sequence[str]) -> set[str]:
    """Return which of the rows handed over are locked, as far as the error shows it."""
    if not is_lock(error):
        return set()
    if error.sqlstate == LOCKED:
        return set((error.diag.message_detail or "").split(",")) & set(ids)
    return set(ids) if len(ids) == 1 else set()


def raised_by_trigger(error: psycopg.Error) -> bool:
    """Whether a trigger raised the error on purpose: it can choose any SQLSTATE."""
    return _RAISED.match(error.diag.context or "") is not None


def took_too_long(error: psycopg.Error) -> bool:
    """Whether fewer rows might do: a lock timed out, or the statement."""
    return error.sqlstate in {LOCK_TIMEOUT, _CANCELED} and not raised_by_trigger(error)


def once_unlocked(work: Callable[[], Result], *, lock_timeout: float) -> Result:
    """Do work on one user whose row may be locked.

    Others do not wait for the user any longer than the lock timeout, in seconds: then
    the work is begun again. Raises RowLockedError after five times.
    """
    locked: errors.LockNotAvailable | None = None
    for _ in range(_MOST_ATTEMPTS):
        try:
            return work()
        except errors.LockNotAvailable as error:
            locked = error
        if seconds_left() < 2 * lock_timeout:
            break
    raise RowLockedError from locked


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
        try:
            locked = attempt(locked)
        except OutOfTimeError:
            break
        if not locked or time.monotonic() > until:
            break
        time.sleep(_PAUSE)
    return locked
