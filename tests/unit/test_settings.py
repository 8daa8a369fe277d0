"""Settings from the environment, and from the secret that it may name."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from clerksync.errors import InvalidSettingError, MissingSettingError
from clerksync.settings import Settings
from tests.doors import forget_settings

# Every setting: its property, a value as it is written, and what it means.
SETTINGS: list[tuple[str, str, str, Any]] = [
    ("DATABASE_URL", "database_url", "postgresql://h/d", "postgresql://h/d"),
    ("CLERK_SECRET_KEY", "clerk_secret_key", "sk_test_x", "sk_test_x"),
    ("CLERK_API_URL", "clerk_api_url", "https://api.test", "https://api.test"),
    ("CLERK_WEBHOOK_SIGNING_SECRET", "webhook_signing_secrets", "a b", ["a", "b"]),
    ("CLERK_JWT_KEY", "clerk_jwt_key", "a\\nb\nc", "a\nb\nc"),
    ("CLERK_ISSUER", "clerk_issuer", "https://clerk.test", "https://clerk.test"),
    (
        "CLERK_AUTHORIZED_PARTIES",
        "authorized_parties",
        " https://a.test/ ,,https://b.test",
        {"https://a.test", "https://b.test"},
    ),
    ("CLERKSYNC_SCHEMA", "schema", "app", "app"),
    ("CLERKSYNC_REQUIRE_EMAIL", "require_email", "false", False),
    ("CLERKSYNC_DELETE_MODE", "soft_delete", "soft", True),
    ("CLERKSYNC_DEFAULT_TIER", "default_tier", "TRIAL", "TRIAL"),
    ("CLERKSYNC_TIER_METADATA_KEY", "tier_metadata_key", "plan", "plan"),
    ("CLERKSYNC_MAX_ORPHAN_RATIO", "max_orphan_ratio", "0.5", 0.5),
    ("CLERKSYNC_INSTANCE_ID", "instance_id", "ins_1", "ins_1"),
]
DEFAULTS: list[tuple[str, str, Any]] = [
    ("CLERK_API_URL", "clerk_api_url", "https://api.clerk.com"),
    ("CLERK_JWT_KEY", "clerk_jwt_key", None),
    ("CLERK_ISSUER", "clerk_issuer", None),
    ("CLERK_PUBLISHABLE_KEY", "clerk_issuer", None),
    ("CLERK_AUTHORIZED_PARTIES", "authorized_parties", frozenset()),
    ("CLERKSYNC_SCHEMA", "schema", "public"),
    ("CLERKSYNC_REQUIRE_EMAIL", "require_email", True),
    ("CLERKSYNC_DELETE_MODE", "soft_delete", False),
    ("CLERKSYNC_DEFAULT_TIER", "default_tier", "FREE"),
    ("CLERKSYNC_TIER_METADATA_KEY", "tier_metadata_key", None),
    ("CLERKSYNC_MAX_ORPHAN_RATIO", "max_orphan_ratio", 0.1),
    ("CLERKSYNC_INSTANCE_ID", "instance_id", None),
]
REQUIRED = [
    ("DATABASE_URL", "database_url"),
    ("CLERK_SECRET_KEY", "clerk_secret_key"),
    ("CLERK_WEBHOOK_SIGNING_SECRET", "webhook_signing_secrets"),
]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is set but what a test sets."""
    forget_settings(monkeypatch)


@pytest.fixture
def settings() -> Settings:
    return Settings()


# The environment.


@pytest.mark.parametrize(("name", "attribute", "value", "meaning"), SETTINGS)
def test_a_setting_is_read_from_the_environment(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    *,
    name: str,
    attribute: str,
    value: str,
    meaning: Any,
) -> None:
    """White space around it does not count."""
    monkeypatch.setenv(name, f" {value}\n")
    assert getattr(settings, attribute) == meaning


@pytest.mark.parametrize("value", [None, "", "  \n"], ids=["unset", "empty", "blank"])
@pytest.mark.parametrize(("name", "attribute", "default"), DEFAULTS)
def test_a_setting_that_is_unset_or_empty_has_its_default(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    *,
    name: str,
    attribute: str,
    default: Any,
    value: str | None,
) -> None:
    """CloudFormation passes an empty text for a parameter that nobody gave."""
    if value is not None:
        monkeypatch.setenv(name, value)
    assert getattr(settings, attribute) == default


@pytest.mark.parametrize("value", [None, "", " "], ids=["unset", "empty", "blank"])
@pytest.mark.parametrize(("name", "attribute"), REQUIRED)
def test_a_required_setting_that_is_missing_is_named(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    attribute: str,
    value: str | None,
) -> None:
    """The error says which one, and what to do."""
    if value is not None:
        monkeypatch.setenv(name, value)
    with pytest.raises(MissingSettingError, match=f"^{name} is not set") as raised:
        getattr(settings, attribute)
    assert raised.value.name == name


def test_a_changed_setting_counts_from_the_next_use_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the environment is kept."""
    monkeypatch.setenv("CLERK_ISSUER", "https://one.test")
    assert settings.clerk_issuer == "https://one.test"
    monkeypatch.setenv("CLERK_ISSUER", "https://two.test")
    assert settings.clerk_issuer == "https://two.test"


@pytest.mark.parametrize(
    ("name", "attribute", "value"),
    [
        ("CLERKSYNC_REQUIRE_EMAIL", "require_email", "hunter2"),
        ("CLERKSYNC_REQUIRE_EMAIL", "require_email", "2"),
        ("CLERKSYNC_DELETE_MODE", "soft_delete", "hunter2"),
        ("CLERKSYNC_DELETE_MODE", "soft_delete", "true"),
        ("CLERKSYNC_MAX_ORPHAN_RATIO", "max_orphan_ratio", "hunter2"),
        ("CLERKSYNC_MAX_ORPHAN_RATIO", "max_orphan_ratio", "-0.0001"),
        ("CLERKSYNC_MAX_ORPHAN_RATIO", "max_orphan_ratio", "1.0001"),
        ("CLERKSYNC_MAX_ORPHAN_RATIO", "max_orphan_ratio", "10%"),
        ("CLERKSYNC_MAX_ORPHAN_RATIO", "max_orphan_ratio", "nan"),
        ("CLERKSYNC_MAX_ORPHAN_RATIO", "max_orphan_ratio", "inf"),
        ("CLERK_PUBLISHABLE_KEY", "clerk_issuer", "hunter2"),
        ("CLERK_PUBLISHABLE_KEY", "clerk_issuer", "pk_test_"),
        ("CLERK_PUBLISHABLE_KEY", "clerk_issuer", "pk_test_hunter2"),
        ("CLERK_PUBLISHABLE_KEY", "clerk_issuer", "pk_test_…"),
        ("CLERK_PUBLISHABLE_KEY", "clerk_issuer", "pk_test_!!!!"),
        ("CLERK_PUBLISHABLE_KEY", "clerk_issuer", "sk_test_hunter2hunter2"),
        ("CLERK_PUBLISHABLE_KEY", "clerk_issuer", "pk_test_aHVudGVyMiQ="),
        ("CLERK_PUBLISHABLE_KEY", "clerk_issuer", "pk_test_ZXZpbC50ZXN0L3BhdGgk"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_and_not_shown(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    attribute: str,
    value: str,
) -> None:
    """A pasted secret does not end in a log."""
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettingError, match=name) as raised:
        getattr(settings, attribute)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("true", True),
        ("TRUE", True),
        ("1", True),
        ("yes", True),
        ("on", True),
        ("False", False),
        ("0", False),
        ("no", False),
        ("off", False),
    ],
)
def test_a_flag_has_many_spellings(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, text: str, *, meaning: bool
) -> None:
    """As people write them, in any case."""
    monkeypatch.setenv("CLERKSYNC_REQUIRE_EMAIL", text)
    assert settings.require_email is meaning


@pytest.mark.parametrize(
    ("text", "ratio"), [("0", 0), ("1", 1), ("1e-3", 0.001)], ids=str
)
def test_the_orphan_ratio_reaches_from_none_to_all(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, text: str, ratio: float
) -> None:
    """Both ends are allowed."""
    monkeypatch.setenv("CLERKSYNC_MAX_ORPHAN_RATIO", text)
    assert settings.max_orphan_ratio == ratio


@pytest.mark.parametrize(
    "url",
    [
        "https://api.test",
        "https://api.test/",
        "https://api.test/v1",
        "https://api.test/v1/",
    ],
)
def test_the_api_may_be_named_with_or_without_its_version(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """Clerk's own SDKs differ in that."""
    monkeypatch.setenv("CLERK_API_URL", url)
    assert settings.clerk_api_url == "https://api.test"


# The issuer.


def publishable_key(host: str, kind: str = "test") -> str:
    return f"pk_{kind}_{base64.b64encode(f'{host}$'.encode()).decode()}"


@pytest.mark.parametrize("kind", ["test", "live"])
@pytest.mark.parametrize(
    "host",
    ["happy-cat-1.clerk.accounts.dev", "clerk.example.com", "a.bc", "a.bcd", "a.bcde"],
)
@pytest.mark.parametrize("padding", ["=", ""], ids=["padded", "unpadded"])
def test_the_publishable_key_gives_the_issuer(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    host: str,
    padding: str,
) -> None:
    """It holds the host of the Frontend API, whatever base64 makes of its length."""
    key = publishable_key(host, kind)
    monkeypatch.setenv("CLERK_PUBLISHABLE_KEY", key if padding else key.rstrip("="))
    assert settings.clerk_issuer == f"https://{host}"


def test_a_given_issuer_beats_the_publishable_key(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its slash at the end does not count: tokens have none."""
    monkeypatch.setenv("CLERK_PUBLISHABLE_KEY", publishable_key("clerk.example.com"))
    monkeypatch.setenv("CLERK_ISSUER", "https://other.test/")
    assert settings.clerk_issuer == "https://other.test"


# The webhook secret's two names.


def test_the_older_name_of_the_webhook_secret_is_accepted(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newer one wins where both are set."""
    monkeypatch.setenv("CLERK_WEBHOOK_SECRET", "old older")
    assert settings.webhook_signing_secrets == ["old", "older"]
    monkeypatch.setenv("CLERK_WEBHOOK_SIGNING_SECRET", "new")
    assert settings.webhook_signing_secrets == ["new"]


# Secrets Manager.


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
    monkeypatch.setattr("clerksync.settings.time.monotonic", lambda: now)
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

    def refuse(_: str) -> dict[str, str]:
        raise AssertionError("Secrets Manager was asked")

    monkeypatch.setattr("clerksync.settings._read_secret", refuse)
    read(settings)
