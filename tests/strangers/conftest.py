"""The functions behind the API, as a stranger finds them."""

from collections.abc import Iterator

import pytest

from tests.doors import forget_settings
from tests.strangers.stack import Stack, assembled


@pytest.fixture
def stack(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    forget_settings(monkeypatch)
    with assembled(database_url, monkeypatch.setenv) as stack:
        yield stack
