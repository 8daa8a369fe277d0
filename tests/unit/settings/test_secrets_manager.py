"""Settings from the secret that the environment may name."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from clerksync.errors import InvalidSettingError, MissingSettingError
from clerksync.settings.environment import Settings
from tests.unit.settings.table import SETTINGS


class SecretsManager:
    """A Secrets Manager that counts how often it is asked."""

    def __init__(self) -> None:
        self._client = boto3.client("secretsmanager")

    def keep(self, secret_id: str, text: str) -> None:
        if secret_id in self._names():
            self._client.put_secret_value(SecretId=secret_id, SecretString=text)
        else:
            self._client.create_secret(Name=secret_id, SecretString=text)

    def delete(self, secret_id: str) -> None:
        self._client.delete_secret(SecretId=secret_id, ForceDeleteWithoutRecovery=True)

    def _names(self) -> set[str]:
        return {secret["Name"] for secret in self._client.list_secrets()["SecretList"]}


@pytest.fixture
def secrets_manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[SecretsManager]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("CLERKSYNC_SECRET_ID", "clerksync")
    with mock_aws():
        yield SecretsManager()


def test_settings_are_read_from_the_named_secret(
    settings: Settings, secrets_manager: SecretsManager
) -> None:
    """Everything that the environment can say can stand there."""
    secrets_manager.keep("clerksync", json.dumps({n: v for n, _, v, _ in SETTINGS}))
    for _, attribute, _, meaning in SETTINGS:
        assert getattr(settings, attribute) == meaning


def test_the_environment_wins_over_the_secret(
    settings: Settings, secrets_manager: SecretsManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty variable does not: it counts as unset."""
    values = {
        "CLERK_SECRET_KEY": "kept",
        "DATABASE_URL": "kept",
        "CLERK_ISSUER": "kept",
    }
    secrets_manager.keep("clerksync", json.dumps(values))
    monkeypatch.setenv("CLERK_SECRET_KEY", "set")
    monkeypatch.setenv("DATABASE_URL", "")
    assert settings.clerk_secret_key == "set"
    assert settings.database_url == "kept"
    assert settings.clerk_issuer == "kept"


@pytest.mark.parametrize(
    ("value", "attribute", "name", "meaning"),
    [
        (False, "require_email", "CLERKSYNC_REQUIRE_EMAIL", False),
        (0.25, "max_orphan_ratio", "CLERKSYNC_MAX_ORPHAN_RATIO", 0.25),
        (None, "clerk_issuer", "CLERK_ISSUER", None),
        (None, "default_tier", "CLERKSYNC_DEFAULT_TIER", "FREE"),
        ("", "default_tier", "CLERKSYNC_DEFAULT_TIER", "FREE"),
    ],
    ids=["a boolean", "a number", "null", "null where there is a default", "empty"],
)
def test_a_value_of_the_secret_need_not_be_a_text(
    settings: Settings,
    secrets_manager: SecretsManager,
    *,
    value: Any,
    attribute: str,
    name: str,
    meaning: Any,
) -> None:
    """JSON has booleans and numbers, and a null counts as unset."""
    secrets_manager.keep("clerksync", json.dumps({name: value}))
    assert getattr(settings, attribute) == meaning


def test_a_setting_that_the_secret_lacks_is_missing(
    settings: Settings, secrets_manager: SecretsManager
) -> None:
    """The error names the setting."""
    secrets_manager.keep("clerksync", "{}")
    with pytest.raises(MissingSettingError, match="CLERK_SECRET_KEY is not set"):
        _ = settings.clerk_secret_key


@pytest.mark.parametrize("text", ["hunter2", "[]", '"hunter2"', "null", '{"a": '])
def test_a_secret_that_is_no_object_is_named_and_not_shown(
    settings: Settings, secrets_manager: SecretsManager, text: str
) -> None:
    """The error says which setting named it."""
    secrets_manager.keep("clerksync", text)
    with pytest.raises(InvalidSettingError, match="CLERKSYNC_SECRET_ID") as raised:
        _ = settings.clerk_secret_key
    assert "hunter2" not in str(raised.value)


def test_the_secret_is_read_once_in_five_minutes(
    settings: Settings, secrets_manager: SecretsManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rotated value is used soon, and a warm function does not ask each time."""
    now = 1000.0
    monkeypatch.setattr("clerksync.settings.secret_cache.time.monotonic", lambda: now)
    secrets_manager.keep("clerksync", '{"CLERK_SECRET_KEY": "one"}')
    assert settings.clerk_secret_key == "one"
    secrets_manager.keep("clerksync", '{"CLERK_SECRET_KEY": "two"}')
    now += 299
    assert settings.clerk_secret_key == "one"
    now += 2
    assert settings.clerk_secret_key == "two"


def test_another_secret_is_read_at_once(
    settings: Settings, secrets_manager: SecretsManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept is kept for the secret that was named."""
    secrets_manager.keep("clerksync", '{"CLERK_SECRET_KEY": "one"}')
    secrets_manager.keep("other", '{"CLERK_SECRET_KEY": "two"}')
    assert settings.clerk_secret_key == "one"
    monkeypatch.setenv("CLERKSYNC_SECRET_ID", "other")
    assert settings.clerk_secret_key == "two"


def test_what_is_set_in_the_environment_needs_no_secret(
    settings: Settings, secrets_manager: SecretsManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret that is gone costs only the settings that stood in it."""
    monkeypatch.setenv("CLERK_SECRET_KEY", "set")
    secrets_manager.keep("clerksync", "{}")
    secrets_manager.delete("clerksync")
    assert settings.clerk_secret_key == "set"


READ: list[Callable[[Settings], object]] = [
    lambda settings: settings.clerk_issuer,
    lambda settings: settings.require_email,
]


@pytest.mark.parametrize("read", READ, ids=["optional", "flag"])
def test_without_a_named_secret_nobody_is_asked(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    read: Callable[[Settings], object],
) -> None:
    """Those who keep no secret there pay nothing for it."""

    def refuse(*_: str, **__: str) -> str:
        raise AssertionError("Secrets Manager was asked")

    monkeypatch.setattr("clerksync.settings.secret_cache.read_secret", refuse)
    read(settings)
