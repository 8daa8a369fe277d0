"""The functions behind the API, as a stranger finds them."""

from collections.abc import Iterator

import pytest

from clerksync.bulk.run import BulkSync
from clerksync.clerk.retry import BULK
from clerksync.postgres.database import Database
from clerksync.settings.clerk_client import clerk_client
from clerksync.settings.environment import Settings
from tests.doors import forget_settings
from tests.strangers.stack import Stack, assembled


@pytest.fixture
def stack(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    forget_settings(monkeypatch)
    with assembled(database_url, monkeypatch.setenv) as stack:
        yield stack


@pytest.fixture
def full_run(stack: Stack, database: Database) -> BulkSync:
    """Bulk sync of the same Clerk into the same database."""
    del stack  # for the environment that it has set
    settings = Settings()
    return BulkSync(settings, database, clerk_client(settings, BULK))
