"""What the HTTP doors have in common."""

from collections.abc import Iterator

import pytest

from clerksync.observability import metrics
from tests.doors import assert_tells_nothing_private, forget_settings, log_on_stdout


@pytest.fixture
def environment(
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[pytest.MonkeyPatch]:
    """Only the database is set. Whatever a test does, its log must tell nothing."""
    forget_settings(monkeypatch)
    monkeypatch.setenv("DATABASE_URL", database_url)
    metrics.clear_metrics()  # what tests before counted, and no function wrote out
    with log_on_stdout():
        yield monkeypatch
    assert_tells_nothing_private(capsys.readouterr().out)
