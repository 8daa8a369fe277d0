"""Wait for locks of the application without keeping the application waiting.

Whoever waits for a table makes all others wait that come after. So a transaction gives
up after two seconds, lets the others pass, and begins again.
"""

import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Final, LiteralString, TypeVar

import psycopg
from psycopg import errors

from clerksync.errors import ClerksyncError
from clerksync.postgres.database import Database
from clerksync.settings.environment import Settings

Result = TypeVar("Result")

_PATIENCE: LiteralString = "SET LOCAL lock_timeout = '2s'"
# Other users' states are NULL for a role without pg_read_all_stats.
_HOLDERS: LiteralString = """
    SELECT a.pid, coalesce(a.state, 'state unknown'), a.application_name
    FROM unnest(pg_blocking_pids(%s)) AS b (pid)
    JOIN pg_stat_activity AS a ON a.pid = b.pid
    ORDER BY a.pid
"""
_LOOK_SECONDS: Final = 0.2
_PAUSE_SECONDS: Final = 1.0
_UNKNOWN: Final = "a transaction that pg_stat_activity does not show"
_WAITING: Final = (
    "Waiting for a lock that {holders} holds. The application can write meanwhile."
)
_STILL_HELD: Final = (
    "After {seconds:g} seconds, {holders} still holds a lock that this needs. Nothing "
    "was changed. End that transaction, or run SELECT pg_terminate_backend({pid}); and "
    "then run the command again."
)


class LockHeldError(ClerksyncError):
    """A transaction of the application has kept a lock for too long."""


class LockWait:
    """Runs one transaction, again and again, until it gets its locks."""

    def __init__(
        self, settings: Settings, say: Callable[[str], None], *, seconds: float
    ) -> None:
        """`say` is called with a line about what is waited for, whenever it changes."""
        self._settings = settings
        self._say = say
        self._seconds = seconds
        self._pid: int | None = None
        self._holders: list[tuple[int, str, str]] = []

    def begin(self, connection: psycopg.Connection) -> None:
        """Call this first in the transaction."""
        connection.execute(_PATIENCE)
        (self._pid,) = connection.execute("SELECT pg_backend_pid()").fetchall()[0]

    def run(self, work: Callable[[], Result]) -> Result:
        """Raise LockHeldError if a lock is still held after so many seconds."""
        until, said = time.monotonic() + self._seconds, ""
        while True:
            try:
                return self._attempt(work)
            except errors.LockNotAvailable as error:
                if time.monotonic() + _PAUSE_SECONDS > until:
                    raise LockHeldError(self._still_held()) from error
            waiting = _WAITING.format(holders=self._named())
            if waiting != said:
                self._say(waiting)
                said = waiting
            time.sleep(_PAUSE_SECONDS)

    def _attempt(self, work: Callable[[], Result]) -> Result:
        ended = threading.Event()
        self._pid = None
        watcher = threading.Thread(target=self._watch, args=[ended], daemon=True)
        watcher.start()
        try:
            return work()
        finally:
            ended.set()
            watcher.join()

    def _watch(self, ended: threading.Event) -> None:
        """Note who blocks the transaction: once it has given up, nobody does."""
        with closing(Database.from_settings(self._settings)) as database:
            while not ended.wait(_LOOK_SECONDS):
                # Not to know who it is costs a part of a message only.
                with suppress(psycopg.Error, ClerksyncError):
                    self._holders = database.run(self._look) or self._holders

    def _look(self, connection: psycopg.Connection) -> list[tuple[int, str, str]]:
        return connection.execute(_HOLDERS, [self._pid]).fetchall()

    def _still_held(self) -> str:
        pid = str(self._holders[0][0]) if self._holders else "…"
        return _STILL_HELD.format(seconds=self._seconds, holders=self._named(), pid=pid)

    def _named(self) -> str:
        named = [
            f"pid {pid} ({state}, application {name or 'without a name'})"
            for pid, state, name in self._holders
        ]
        return " and ".join(named) or _UNKNOWN
