"""Users at Clerk, and what a database without any settings of its owner shows."""

from collections.abc import Iterator
from typing import Any

import pytest

from functions.bulk_sync import app as bulk_sync
from functions.self_sync import app as self_sync
from local.stub_clerk.stub import StubClerk
from tests.integration.postgres.life import NAME, application, life, owned, people


@pytest.fixture(scope="session")
def clerk() -> Iterator[StubClerk]:
    with StubClerk() as clerk:
        people(clerk)
        yield clerk
        for app in (bulk_sync, self_sync):
            app.clerk._http.clear()


@pytest.fixture(scope="session")
def usual(
    server_url: str, clerk: StubClerk, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        owned(server_url) as database,
        application(monkeypatch, clerk, database.url, tmp_path_factory.mktemp("usual")),
    ):
        seen = life(clerk, database)
    assert seen["me"]["user"]["name"] == NAME
    assert seen["me"]["user"]["score"] == 0.1 + 0.2
    assert seen["me"]["user"]["exact"] == 0.1 + 0.2
    assert seen["bulk sync"]["status"] == "completed"
    assert seen["bulk sync"]["updated"] == 0, "every entry point writes the same"
    assert seen["status"] == [2, 1, 1, {}]
    return seen
