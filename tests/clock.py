"""Waiting for Clerk, and for the end of a run's time, without waiting."""

import time
from datetime import datetime, tzinfo
from types import SimpleNamespace

import pytest

from clerksync.clerk.api import ClerkApi


def recorded_waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every wait to come, in seconds; the clock of the rate limit goes by them."""
    waits: list[float] = []

    def wait(_: ClerkApi, seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(ClerkApi, "_sleep", wait)
    clock = SimpleNamespace(monotonic=lambda: 1000 + sum(waits))
    monkeypatch.setattr("clerksync.clerk.rate_limit.time", clock)
    return waits


class RunClock:
    """The clock by which a run's time ends. A test can put it forward.

    It goes as others do. With `stopped`, it stands still in between: then no machine is
    too slow for the time of a run.
    """

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *, stopped: bool = False
    ) -> None:
        self._ahead = 0.0
        self._stopped_at = time.monotonic() if stopped else None
        clock = SimpleNamespace(monotonic=self.now)
        monkeypatch.setattr("clerksync.clerk.api.time", clock)

    def now(self) -> float:
        began = time.monotonic() if self._stopped_at is None else self._stopped_at
        return began + self._ahead

    def put_forward(self, seconds: float) -> None:
        self._ahead += seconds


def stop_the_date(
    monkeypatch: pytest.MonkeyPatch, module: str, unix_seconds: int
) -> None:
    """Let `datetime.now` in a module always return the same moment."""

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Stopped":
            return cls.fromtimestamp(unix_seconds, tz)

    monkeypatch.setattr(f"{module}.datetime", Stopped)
