"""A secret that is rotated, or cannot be read, while a function is warm."""

from collections.abc import Iterator

import pytest

from clerksync.errors import InvalidSettingError
from clerksync.settings.environment import Settings
from tests.secrets import KeptSecret, kept_secret


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> Iterator[KeptSecret]:
    with kept_secret(monkeypatch) as secret:
        yield secret


class Clock:
    now = 1000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(
        "clerksync.settings.secret_cache.time.monotonic", lambda: clock.now
    )
    return clock


def test_refresh_tells_whether_something_changed(
    settings: Settings, secret: KeptSecret, clock: Clock
) -> None:
    """Who was refused tries again only with another credential."""
    secret.holds(CLERK_SECRET_KEY="one")
    assert settings.clerk_secret_key == "one"
    clock.now += 10
    assert not settings.refresh()
    secret.holds(CLERK_SECRET_KEY="two")
    clock.now += 10
    assert settings.refresh()
    assert settings.clerk_secret_key == "two"


def test_refresh_asks_once_in_ten_seconds(
    settings: Settings, secret: KeptSecret, clock: Clock
) -> None:
    """A stranger with bad signatures does not make us ask as often as he likes."""
    secret.holds(CLERK_SECRET_KEY="one")
    assert settings.clerk_secret_key == "one"
    secret.holds(CLERK_SECRET_KEY="two")
    clock.now += 9.9
    assert not settings.refresh()
    assert settings.clerk_secret_key == "one"
    clock.now += 0.2
    assert settings.refresh()


def test_without_a_secret_there_is_nothing_to_refresh(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment of a function does not change while it is warm."""
    monkeypatch.setenv("CLERK_SECRET_KEY", "set")
    assert settings.clerk_secret_key == "set"
    assert not settings.refresh()


def test_a_secret_that_cannot_be_read_any_more_is_used_as_it_was(
    settings: Settings,
    secret: KeptSecret,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An outage of Secrets Manager does not become one of ours; the log tells."""
    secret.holds(CLERK_SECRET_KEY="hunter2")
    assert settings.clerk_secret_key == "hunter2"
    secret.is_deleted()
    clock.now += 301
    assert settings.clerk_secret_key == "hunter2"
    log = caplog.text
    assert "secret not read" in log
    assert "hunter2" not in log
    assert not settings.refresh()


def test_a_secret_that_was_never_read_is_an_error(
    settings: Settings, secret: KeptSecret
) -> None:
    """It says which setting named it, and what to check."""
    secret.is_deleted()
    told = r"CLERKSYNC_SECRET_ID cannot be read \(.+\): check name, region"
    with pytest.raises(InvalidSettingError, match=told):
        _ = settings.clerk_secret_key
