"""Sixty pages of users in about ten windows, and a state machine to walk them."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from clerksync.clerk.rate_limit import RateLimiter
from functions.bulk_sync import app
from local.stub_clerk.stub import StubClerk
from tests.clock import RunClock
from tests.doors import ask_this_clerk
from tests.integration.bulk.parallel.conftest import PAGE
from tests.integration.bulk.parallel.distributed.machine import Machine


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clerksync.bulk.distributed_windows._USERS_AT_LEAST", 10 * PAGE)


@pytest.fixture
def clerk(
    stub: StubClerk, environment: pytest.MonkeyPatch, clock: RunClock
) -> Iterator[StubClerk]:
    """The function as deployed, for that instance."""
    ask_this_clerk(environment, stub)
    environment.setenv("CLERKSYNC_RATE_LIMIT", "100000")
    environment.setattr(app.clerk, "rate_limiter", RateLimiter())
    environment.setattr(app, "time", SimpleNamespace(monotonic=clock.now))
    yield stub
    app.database.close()


@pytest.fixture
def machine(clerk: StubClerk) -> Machine:
    del clerk  # which it asks
    return Machine()
