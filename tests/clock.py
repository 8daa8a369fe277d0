"""Waiting for Clerk, and for the end of a run's time, without waiting."""

import time
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
    """The clock by which a run's time ends: it goes as others do, or is put forward."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._ahead = 0.0
        clock = SimpleNamespace(monotonic=self.now)
        monkeypatch.setattr("clerksync.clerk.api.time", clock)

    def now(self) -> float:
        return time.monotonic() + self._ahead

    def put_forward(self, seconds: float) -> None:
        self._ahead += seconds
