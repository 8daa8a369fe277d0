"""The page with a stub Clerk, or with settings of one's own."""

from collections.abc import Iterator

import pytest

from tests.laptop import Laptop, laptop


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, database_url: str) -> Iterator[Laptop]:
    """As without settings."""
    with laptop(monkeypatch, database_url) as served:
        yield served


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch, database_url: str) -> Iterator[Laptop]:
    """As with settings of one's own; Clerk's webhooks arrive."""
    with laptop(monkeypatch, database_url, own=True) as served:
        yield served
