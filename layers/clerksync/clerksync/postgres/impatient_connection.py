"""A connection that waits for Postgres no longer than the time limit allows."""

import time
from collections.abc import Generator
from contextlib import suppress
from typing import Any, Final, TypeVar

import psycopg
from psycopg.abc import PQGen

from clerksync.errors import DatabaseUnreachableError
from clerksync.time_limit import seconds_left

WaitsFor = TypeVar("WaitsFor")
Ready = TypeVar("Ready")
Result = TypeVar("Result")

# Where there is no time limit: no statement of ours outlives what Lambda gives a run.
_LONGEST_SECONDS: Final = 900.0
_CANCEL_SECONDS: Final = 1.0
_SILENT: Final = (
    "Postgres did not answer in time: look for locks that are held, for its load, and "
    "for the network in between."
)


class ImpatientConnection(psycopg.Connection):
    """Raises DatabaseUnreachableError, and is closed, when the time limit is over.

    The limits of the server and of TCP do not suffice: behind a proxy whose peer has
    gone silent, or a lock, the server's host acknowledges everything and nothing comes.
    """

    def wait(self, gen: PQGen[Result], *args: Any, **kwargs: Any) -> Result:
        try:
            return super().wait(_limited(gen), *args, **kwargs)
        except DatabaseUnreachableError:
            # The statement may wait for a lock, and hold others. It may also commit
            # after all: whoever sends the same again does no harm.
            with suppress(psycopg.Error):
                self.cancel_safe(timeout=_CANCEL_SECONDS)
            self.close()
            raise

    @classmethod
    def _connect_gen(cls, *args: Any, **kwargs: Any) -> Any:
        # No public hook: `connect_timeout` is for each address of a host.
        return _limited(super()._connect_gen(*args, **kwargs))


def _limited(
    gen: Generator[WaitsFor, Ready, Result],
) -> Generator[WaitsFor, Ready, Result]:
    """The same generator, until its time is over.

    psycopg resumes it with nothing ready every tenth of a second.
    """
    deadline = time.monotonic() + min(seconds_left(), _LONGEST_SECONDS)
    try:
        waits_for = next(gen)
        while True:
            ready = yield waits_for
            if not ready and time.monotonic() > deadline:
                gen.close()
                raise DatabaseUnreachableError(_SILENT)
            waits_for = gen.send(ready)
    except StopIteration as end:
        result: Result = end.value
        return result
