"""Every test that writes does so in both ways: one user at a time, and many."""

import pytest

from clerksync.postgres.database import Database
from tests.integration.write.user_table.writer import Writer


@pytest.fixture(params=["one", "many"])
def door(request: pytest.FixtureRequest) -> str:
    """Both ways into the write path."""
    return str(request.param)


@pytest.fixture
def writer(database: Database, door: str) -> Writer:
    return Writer(database, door)
