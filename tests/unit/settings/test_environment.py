"""Settings from the environment: defaults, forms, what is refused."""

import base64
from typing import Any

import pytest

from clerksync.errors import InvalidSettingError, MissingSettingError
from clerksync.mapping.file import DEFAULT
from clerksync.settings.environment import Settings
from tests.unit.settings.table import SETTINGS

DEFAULTS: list[tuple[str, str, Any]] = [
    ("CLERK_API_URL", "clerk_api_url", "https://api.clerk.com"),
    ("CLERK_JWT_KEY", "clerk_jwt_key", None),
    ("CLERK_ISSUER", "clerk_issuer", None),
    ("CLERK_PUBLISHABLE_KEY", "clerk_issuer", None),
    ("CLERK_AUTHORIZED_PARTIES", "authorized_parties", frozenset()),
    ("CLERKSYNC_SCHEMA", "schema", "public"),
    ("CLERKSYNC_MAPPING", "mapping", DEFAULT),
    ("CLERKSYNC_REQUIRE_EMAIL", "require_email", True),
    ("CLERKSYNC_DELETE_MODE", "soft_delete", False),
    ("CLERKSYNC_DEFAULT_TIER", "default_tier", "FREE"),
    ("CLERKSYNC_TIER_METADATA_KEY", "tier_metadata_key", None),
    ("CLERKSYNC_MAX_ORPHAN_RATIO", "max_orphan_ratio", 0.1),
    ("CLERKSYNC_WORKERS", "workers", 8),
    ("CLERKSYNC_LOCK_TIMEOUT", "lock_timeout", 1),
    ("CLERKSYNC_RATE_LIMIT", "clerk_rate_limit", None),
    ("CLERKSYNC_MAX_CONTINUATIONS", "max_continuations", 10),
    ("CLERKSYNC_INSTANCE_ID", "instance_id", None),
]
REQUIRED = [
    ("DATABASE_URL", "database_url"),
    ("CLERK_SECRET_KEY", "clerk_secret_key"),
    ("CLERK_WEBHOOK_SIGNING_SECRET", "webhook_signing_secrets"),
]


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
        ("CLERKSYNC_MAPPING", "mapping", "hunter2"),
        ("CLERKSYNC_DELETE_MODE", "soft_delete", "hunter2"),
        ("CLERKSYNC_DELETE_MODE", "soft_delete", "true"),
        ("CLERKSYNC_MAX_ORPHAN_RATIO", "max_orphan_ratio", "hunter2"),
        ("CLERKSYNC_MAX_ORPHAN_RATIO", "max_orphan_ratio", "-0.0001"),
        ("CLERKSYNC_MAX_ORPHAN_RATIO", "max_orphan_ratio", "1.0001"),
        ("CLERKSYNC_MAX_ORPHAN_RATIO", "max_orphan_ratio", "10%"),
        ("CLERKSYNC_MAX_ORPHAN_RATIO", "max_orphan_ratio", "nan"),
        ("CLERKSYNC_MAX_ORPHAN_RATIO", "max_orphan_ratio", "inf"),
        ("CLERKSYNC_WORKERS", "workers", "hunter2"),
        ("CLERKSYNC_WORKERS", "workers", "0"),
        ("CLERKSYNC_WORKERS", "workers", "33"),
        ("CLERKSYNC_WORKERS", "workers", "1.5"),
        ("CLERKSYNC_LOCK_TIMEOUT", "lock_timeout", "hunter2"),
        ("CLERKSYNC_LOCK_TIMEOUT", "lock_timeout", "0.05"),
        ("CLERKSYNC_LOCK_TIMEOUT", "lock_timeout", "11"),
        ("CLERKSYNC_LOCK_TIMEOUT", "lock_timeout", "nan"),
        ("CLERKSYNC_RATE_LIMIT", "clerk_rate_limit", "hunter2"),
        ("CLERKSYNC_RATE_LIMIT", "clerk_rate_limit", "0"),
        ("CLERKSYNC_RATE_LIMIT", "clerk_rate_limit", "100001"),
        ("CLERKSYNC_RATE_LIMIT", "clerk_rate_limit", "10/s"),
        ("CLERKSYNC_MAX_CONTINUATIONS", "max_continuations", "hunter2"),
        ("CLERKSYNC_MAX_CONTINUATIONS", "max_continuations", "-1"),
        ("CLERKSYNC_MAX_CONTINUATIONS", "max_continuations", "15"),
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
    ("name", "attribute", "ends"),
    [
        ("CLERKSYNC_WORKERS", "workers", (1, 32)),
        ("CLERKSYNC_LOCK_TIMEOUT", "lock_timeout", (0.1, 10)),
        ("CLERKSYNC_RATE_LIMIT", "clerk_rate_limit", (1, 100_000)),
        ("CLERKSYNC_MAX_CONTINUATIONS", "max_continuations", (0, 14)),
    ],
)
def test_a_number_reaches_from_its_least_to_its_most(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    attribute: str,
    ends: tuple[float, float],
) -> None:
    """Both ends are allowed; Lambda ends chains of more than 16 invocations."""
    for number in ends:
        monkeypatch.setenv(name, str(number))
        assert getattr(settings, attribute) == number


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
