"""A client of Clerk's API with the patience of a bulk run, and a stub to ask."""

from collections.abc import Iterator

import pytest

from clerksync.clerk.api import ClerkApi
from clerksync.clerk.retry import BULK
from clerksync.settings.clerk_client import clerk_client
from clerksync.settings.environment import Settings
from local.stub_clerk.stub import StubClerk
from tests.clock import recorded_waits
from tests.doors import ask_this_clerk, forget_settings


@pytest.fixture(scope="module")
def shared_stub() -> Iterator[StubClerk]:
    with StubClerk(users=120) as stub:
        yield stub


@pytest.fixture
def stub(shared_stub: StubClerk, monkeypatch: pytest.MonkeyPatch) -> StubClerk:
    """A Clerk with 120 users to which the settings point."""
    forget_settings(monkeypatch)
    ask_this_clerk(monkeypatch, shared_stub)
    shared_stub.reset_faults()
    shared_stub.reset_requests()
    return shared_stub


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited, without waiting."""
    return recorded_waits(monkeypatch)


@pytest.fixture
def clerk(stub: StubClerk, waits: list[float]) -> Iterator[ClerkApi]:
    """A client with the patience of a bulk run; every test looks at its waits."""
    assert stub.requests == len(waits) == 0
    clerk = clerk_client(Settings(), BULK)
    yield clerk
    clerk._http.clear()
