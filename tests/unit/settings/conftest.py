"""Settings of an environment in which nothing is set."""

import pytest

from clerksync.settings.environment import Settings
from tests.doors import forget_settings


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is set but what a test sets."""
    forget_settings(monkeypatch)


@pytest.fixture
def settings() -> Settings:
    return Settings()
