"""Postgres, Clerk and Secrets Manager keep silent: a request does not wait for ever."""

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest

from clerksync.clerk.retry import INTERACTIVE
from clerksync.errors import (
    ClerkUnavailableError,
    DatabaseUnreachableError,
    InvalidSettingError,
)
from clerksync.postgres.database import Database
from clerksync.settings.clerk_client import clerk_client
from clerksync.settings.environment import Settings
from clerksync.time_limit import time_limit
from clerksync.write.user_batches import UserBatches
from tests.doors import forget_settings
from tests.people import a_user, user_id
from tests.tables import locked, rows
from tests.terminal import eventually

SOON = 0.3
# Whoever waits for a lock, or does anything else for us.
_BUSY = """
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name = 'clerksync' AND state <> 'idle'
      AND datname = current_database()
"""


@contextmanager
def silence() -> Iterator[int]:
    """A port where everybody is let in and nobody is answered."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture(autouse=True)
def patient_cancelling(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that Postgres hears of it on a busy machine too."""
    name = "clerksync.postgres.impatient_connection._CANCEL_SECONDS"
    monkeypatch.setattr(name, 60.0)


def busy(connection: psycopg.Connection) -> bool:
    return connection.execute(_BUSY).fetchone() != (0,)


def backend(connection: psycopg.Connection) -> int:
    return connection.info.backend_pid


@pytest.mark.parametrize("hosts", ["127.0.0.1", "127.0.0.1,127.0.0.1,127.0.0.1"])
def test_a_silent_server_is_given_up_when_the_time_is_over(hosts: str) -> None:
    """However many addresses it has, each with a timeout of its own."""
    with silence() as port:
        url = f"postgresql:///nowhere?host={hosts}&port={port}&connect_timeout=30"
        with (
            closing(Database(lambda: url)) as database,
            pytest.raises(DatabaseUnreachableError, match="in time"),
            time_limit(SOON),
        ):
            database.run(backend)


def test_a_statement_that_waits_is_given_up_and_cancelled(
    users: UserBatches, database_url: str, connection: psycopg.Connection
) -> None:
    """A lock of the application's is no reason to stay, nor to hold locks of ours."""
    with locked(database_url):
        with (
            pytest.raises(DatabaseUnreachableError, match="locks"),
            time_limit(SOON),
        ):
            users.upsert(a_user())
        assert eventually(lambda: not busy(connection))
    assert rows(connection) == {}
    assert users.upsert(a_user()).action == "created"


def test_a_batch_that_waits_is_given_up_as_well(
    users: UserBatches, database_url: str, connection: psycopg.Connection
) -> None:
    """In a transaction, in the middle of its statements."""
    with locked(database_url):
        with pytest.raises(DatabaseUnreachableError), time_limit(SOON):
            users.upsert_many([a_user(1), a_user(2)])
        assert eventually(lambda: not busy(connection))
    assert users.upsert_many([a_user(1), a_user(2)]).created == 2


def test_after_the_limit_there_is_none(database: Database) -> None:
    """It holds for one request; the next has its own, and a bulk run may have none."""
    with time_limit(-1):
        pass
    slept = database.run(lambda c: c.execute("SELECT pg_sleep(0.3)").fetchall())
    assert slept == [("",)]


def test_a_silent_clerk_is_given_up_when_the_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before its own patience is at an end."""
    forget_settings(monkeypatch)
    monkeypatch.setenv("CLERK_SECRET_KEY", "sk_test_invented")
    with silence() as port:
        monkeypatch.setenv("CLERK_API_URL", f"http://127.0.0.1:{port}")
        clerk = clerk_client(Settings(), INTERACTIVE)
        with pytest.raises(ClerkUnavailableError), time_limit(SOON):
            clerk.user(user_id(1))


@pytest.mark.parametrize("function", ["chaos", None], ids=["Lambda", "laptop"])
def test_a_silent_secrets_manager_is_given_up(
    monkeypatch: pytest.MonkeyPatch, function: str | None
) -> None:
    """It has seconds of its own, and less where less is left."""
    forget_settings(monkeypatch)
    with silence() as port:
        for name, value in {
            "AWS_LAMBDA_FUNCTION_NAME": function,
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "invented",
            "AWS_SECRET_ACCESS_KEY": "invented",
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": f"http://127.0.0.1:{port}",
            "CLERKSYNC_SECRET_ID": "clerksync",
        }.items():
            if value is not None:
                monkeypatch.setenv(name, value)
        with (
            pytest.raises(InvalidSettingError, match="CLERKSYNC_SECRET_ID"),
            time_limit(SOON),
        ):
            _ = Settings().clerk_secret_key
