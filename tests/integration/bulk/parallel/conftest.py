"""Sixty pages of users, written a few pages at a time."""

from collections.abc import Iterator

import pytest

from local.stub_clerk.stub import StubClerk
from tests.clock import RunClock
from tests.doors import ask_this_clerk

PAGE = 30
USERS = 60 * PAGE


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that two thousand users are a walk in which much can happen."""
    for module in ("clerk.api", "bulk.listing", "bulk.windows"):
        monkeypatch.setattr(f"clerksync.{module}.PAGE_LIMIT", PAGE)
    monkeypatch.setattr("clerksync.bulk.windows._WORTH_HALVING", 2 * PAGE)
    for size in ("_SMALLEST", "_LARGEST"):
        monkeypatch.setattr(f"clerksync.bulk.fetch.{size}", 5 * PAGE)
    monkeypatch.setattr("clerksync.clerk.retry._BACKOFF_SECONDS", 0.001)


@pytest.fixture(autouse=True)
def patient_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that threads end in time on a busy machine too."""
    monkeypatch.setattr("clerksync.bulk.fetch.GRACE_SECONDS", 60.0)
    monkeypatch.setattr("clerksync.bulk.fetch._LAST_SECONDS", 60.0)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubClerk]:
    """A production instance: its rate limit is in nobody's way here."""
    with StubClerk(users=USERS, environment_type="production") as stub:
        ask_this_clerk(monkeypatch, stub)
        yield stub


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> RunClock:
    """It stands still until a test puts it forward."""
    return RunClock(monkeypatch, stopped=True)
