"""User and password of the database in a secret of their own, as RDS keeps them."""

from collections.abc import Iterator

import pytest
from psycopg.conninfo import conninfo_to_dict

from clerksync.errors import InvalidSettingError, MissingSettingError
from clerksync.settings.environment import Settings
from tests.secrets import KeptSecret, kept_secret

RDS = {
    "username": "sync",
    "password": "p@ss: w/o'rd",
    "host": "app.abc.eu-west-1.rds.amazonaws.com",
    "port": "5433",
    "dbname": "app",
    "engine": "postgres",
}


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> Iterator[KeptSecret]:
    named_by = "CLERKSYNC_DATABASE_SECRET_ID"
    with kept_secret(monkeypatch, "rds!db-1", named_by=named_by) as secret:
        yield secret


def test_everything_can_come_from_the_secret(
    settings: Settings, secret: KeptSecret
) -> None:
    """Whatever characters the password has."""
    secret.holds(**RDS)
    assert conninfo_to_dict(settings.database_url) == {
        "user": "sync",
        "password": "p@ss: w/o'rd",
        "host": "app.abc.eu-west-1.rds.amazonaws.com",
        "port": "5433",
        "dbname": "app",
    }


def test_the_url_says_where_and_the_secret_says_who(
    settings: Settings, secret: KeptSecret, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret that RDS rotates may hold no more than user and password."""
    secret.holds(username="sync", password="new")
    url = "postgresql://old:old@db.example.com/app?sslmode=require"
    monkeypatch.setenv("DATABASE_URL", url)
    assert conninfo_to_dict(settings.database_url) == {
        "user": "sync",
        "password": "new",
        "host": "db.example.com",
        "dbname": "app",
        "sslmode": "require",
    }


def test_a_secret_without_a_password_is_named(
    settings: Settings, secret: KeptSecret
) -> None:
    """The error says which setting named it."""
    secret.holds(username="sync")
    told = "CLERKSYNC_DATABASE_SECRET_ID has no password"
    with pytest.raises(InvalidSettingError, match=told):
        _ = settings.database_url


def test_without_any_host_the_url_is_missing(
    settings: Settings, secret: KeptSecret
) -> None:
    """Or libpq would look for a socket of this machine."""
    secret.holds(username="sync", password="new")
    with pytest.raises(MissingSettingError, match="DATABASE_URL is not set"):
        _ = settings.database_url


def test_authentication_is_by_password_or_iam(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anything else is a mistake, not a default."""
    assert not settings.database_uses_iam
    monkeypatch.setenv("CLERKSYNC_DATABASE_AUTH", "iam")
    assert settings.database_uses_iam
    monkeypatch.setenv("CLERKSYNC_DATABASE_AUTH", "kerberos")
    with pytest.raises(InvalidSettingError, match="must be password or iam"):
        _ = settings.database_uses_iam
