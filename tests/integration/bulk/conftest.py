"""A stub Clerk with three pages of users, and bulk sync against it."""

from collections.abc import Iterator

import pytest

from clerksync.postgres.database import Database
from local.stub_clerk.stub import StubClerk
from tests.doors import ask_this_clerk
from tests.integration.bulk.bulk import Bulk


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubClerk]:
    """1,200 users are three pages of the listing."""
    monkeypatch.setattr("clerksync.clerk.retry._BACKOFF_SECONDS", 0.001)
    with StubClerk(users=1_200) as stub:
        ask_this_clerk(monkeypatch, stub)
        yield stub


@pytest.fixture
def bulk(database: Database) -> Bulk:
    return Bulk(database)
