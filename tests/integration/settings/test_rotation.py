"""Credentials are rotated while a function is warm: no deployment is needed."""

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from clerksync.clerk.retry import BULK, INTERACTIVE
from clerksync.errors import ClerkRequestError, DatabaseUnreachableError
from clerksync.postgres.database import Database
from clerksync.settings.clerk_client import clerk_client
from clerksync.settings.environment import Settings
from functions.webhook import app
from local.stub_clerk.stub import StubClerk
from tests.doors import forget_settings
from tests.integration.functions.webhook.door import OTHER_SECRET, Door, action
from tests.secrets import KeptSecret, kept_secret, may_be_read_at_any_time

NOWHERE = "postgresql://127.0.0.1:1/none"


@pytest.fixture(scope="module")
def clerk() -> Iterator[StubClerk]:
    with StubClerk(users=3) as stub:
        yield stub


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> Iterator[KeptSecret]:
    forget_settings(monkeypatch)
    may_be_read_at_any_time(monkeypatch)
    with kept_secret(monkeypatch) as secret:
        yield secret


def alive(connection: psycopg.Connection) -> int:
    return connection.info.backend_pid


def test_a_database_that_refuses_makes_us_look_at_the_secret(
    secret: KeptSecret, database_url: str
) -> None:
    """A new password, or a new host, counts at once."""
    secret.holds(DATABASE_URL=NOWHERE)
    with closing(Database.from_settings(Settings())) as database:
        with pytest.raises(DatabaseUnreachableError):
            database.run(alive)
        secret.holds(DATABASE_URL=database_url)
        assert database.run(alive) > 0


def test_a_connection_outlives_the_password_it_was_made_with(
    secret: KeptSecret, database_url: str
) -> None:
    """Nobody looks at the secret while the database is content."""
    secret.holds(DATABASE_URL=database_url)
    with closing(Database.from_settings(Settings())) as database:
        first = database.run(alive)
        secret.holds(DATABASE_URL=NOWHERE)
        assert database.run(alive) == first


def test_a_key_that_clerk_refuses_makes_us_look_at_the_secret(
    secret: KeptSecret, clerk: StubClerk
) -> None:
    """A self-sync goes on with the new key, and asks Clerk once more."""
    secret.holds(CLERK_API_URL=clerk.url, CLERK_SECRET_KEY="sk_test_old")
    api = clerk_client(Settings(), INTERACTIVE)
    with pytest.raises(ClerkRequestError, match="CLERK_SECRET_KEY"):
        api.instance()
    secret.holds(CLERK_API_URL=clerk.url, CLERK_SECRET_KEY=clerk.secret_key)
    clerk.reset_requests()
    assert api.instance().id
    assert clerk.requests == 2


def test_a_run_begins_with_the_new_key(secret: KeptSecret, clerk: StubClerk) -> None:
    """The old one, still cached, is refused by the first question."""
    settings = Settings()
    secret.holds(CLERK_API_URL=clerk.url, CLERK_SECRET_KEY="sk_test_old")
    run = clerk_client(settings, BULK).for_run()
    secret.holds(CLERK_API_URL=clerk.url, CLERK_SECRET_KEY=clerk.secret_key)
    assert run.instance().id
    assert run.count(created_before=1 << 41) == 3


def test_a_run_under_way_takes_no_other_key(
    secret: KeptSecret, clerk: StubClerk
) -> None:
    """It may be of another instance, whose users the run would mix in."""
    secret.holds(CLERK_API_URL=clerk.url, CLERK_SECRET_KEY=clerk.secret_key)
    run = clerk_client(Settings(), BULK).for_run()
    run.instance()
    secret.holds(CLERK_API_URL=clerk.url, CLERK_SECRET_KEY="sk_test_other")
    clerk.fail_next(status=401, retry_after=None)
    with pytest.raises(ClerkRequestError, match="CLERK_SECRET_KEY"):
        run.count(created_before=1 << 41)


def test_a_signature_that_does_not_match_makes_us_look_at_the_secret(
    secret: KeptSecret,
    clerk: StubClerk,
    database_url: str,
    connection: psycopg.Connection,
) -> None:
    """The first delivery is taken after the signing secret was set, or rotated."""
    door, told = Door(clerk), {"DATABASE_URL": database_url}
    secret.holds(**told)
    assert door.created(1).status == 500
    secret.holds(CLERK_WEBHOOK_SIGNING_SECRET=OTHER_SECRET, **told)
    assert door.created(1).status == 400
    secret.holds(CLERK_WEBHOOK_SIGNING_SECRET=clerk.webhook_signing_secret, **told)
    assert action(door.created(1)) == "created"
    count = connection.execute("SELECT count(*) FROM users").fetchone()
    assert count == (1,)
    app.database.close()
