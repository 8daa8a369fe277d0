"""The life of an instance, cut into windows of about equally many users beforehand.

For those who must know them in advance, as a state machine does: a single run cuts its
windows while it walks (windows.py).
"""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Final

# A state machine's payload is at most 256 KB, and its history 25,000 events.
WINDOWS_AT_MOST: Final = 200
# Forty pages: what starting a function costs does not count.
_USERS_AT_LEAST: Final = 20_000
# Of a count that makes no sense not more is asked than this, or twice as much.
_CUTS_AT_MOST: Final = 1_000


@dataclass(frozen=True, slots=True)
class PlannedWindow:
    """Users created from `start` until before `end`; a start of None is the beginning.
    Unix ms of Clerk's clock."""

    start: int | None
    end: int
    users: int
    """By Clerk's counts, which go on changing."""


def plan_windows(
    count: Callable[[int], int], *, end: int, total: int, executor: Executor
) -> list[PlannedWindow]:
    """Windows that overlap nowhere and together hold everybody created before `end`.

    `count` tells how many users were created before a time, roughly: `total` at the
    end. Whatever it says, nobody is left out; it only decides how equal they are. It
    is asked about twice for each window, by the executor's threads.
    """
    # Two neighbours that could be one hold more than this: so there are not too many.
    size = max(_USERS_AT_LEAST, ceil(2 * total / (WINDOWS_AT_MOST - 1)))
    known = {0: 0, end: total}
    while len(known) < _CUTS_AT_MOST and (middles := _middles(known, size)):
        known |= zip(middles, executor.map(count, middles), strict=True)
    while len(windows := _joined(known, size)) > WINDOWS_AT_MOST:
        size *= 2
    return windows


def _middles(known: dict[int, int], size: int) -> list[int]:
    """Where to cut what holds too many; a millisecond cannot be cut."""
    times = sorted(known)
    return [
        (start + end) // 2
        for start, end in pairwise(times)
        if known[end] - known[start] > size and end - start > 1
    ]


def _joined(known: dict[int, int], size: int) -> list[PlannedWindow]:
    """Neighbours that together are not too large are one window."""
    times = sorted(known)
    windows: list[PlannedWindow] = []
    for begin, end in pairwise(times):
        # A count can go down while users are deleted.
        start, users = begin or None, max(0, known[end] - known[begin])
        if windows and windows[-1].users + users <= size:
            before = windows.pop()
            start, users = before.start, before.users + users
        windows.append(PlannedWindow(start, end, users))
    return windows
