"""One emulated AWS, one Postgres, one stub Clerk; stacks in them, for a whole run."""

import json
import signal
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from psycopg import sql

from local.stack.embedded_postgres import embedded_postgres
from local.stub_clerk.stub import StubClerk
from tests.e2e.cloud import Cloud, running_cloud
from tests.e2e.stack import BUILD, Stack, say

ROLE: Final = "clerksync_a"
_DEPLOYED: Final = pytest.StashKey[Stack]()


@pytest.fixture(scope="session", autouse=True)
def ended_in_order() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does: what was started is stopped."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    assert BUILD.exists(), "nothing was built: this is run by make e2e"
    with tempfile.TemporaryDirectory(prefix="clerksync-e2e-") as folder:
        say("starting ministack")
        with running_cloud(Path(folder)) as cloud:
            yield cloud
        say("ministack is stopped\n")


@pytest.fixture(scope="session")
def admin_url() -> Iterator[str]:
    """Of an empty database that belongs to a role of the application."""
    say("starting Postgres")
    with embedded_postgres() as url:
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute("ALTER SYSTEM SET fsync = off")
            admin.execute("SELECT pg_reload_conf()")
            role = sql.Identifier(ROLE)
            admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
            owned = sql.SQL("CREATE DATABASE application OWNER {}")
            admin.execute(owned.format(role))
        yield url.replace("/postgres?", "/application?")


@pytest.fixture(scope="session")
def database_url(admin_url: str) -> str:
    """As the functions get it."""
    return admin_url.replace("//postgres:@", f"//{ROLE}@")


@pytest.fixture
def connection(admin_url: str) -> Iterator[psycopg.Connection]:
    """A look into the database."""
    with psycopg.connect(admin_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def clerk() -> Iterator[StubClerk]:
    with StubClerk(users=30) as stub:
        yield stub


Keep = Callable[..., None]


@pytest.fixture(scope="session")
def keep_secret(cloud: Cloud, clerk: StubClerk, database_url: str) -> Keep:
    """Put a secret with all settings into Secrets Manager, some of them changed."""
    manager = cloud.client("secretsmanager")

    def keep(name: str, **changes: str) -> None:
        settings: dict[str, Any] = {
            "DATABASE_URL": database_url,
            "CLERK_SECRET_KEY": clerk.secret_key,
            "CLERK_WEBHOOK_SIGNING_SECRET": clerk.webhook_signing_secret,
            "CLERK_API_URL": clerk.url,
            "CLERK_ISSUER": clerk.issuer,
        }
        text = json.dumps(settings | changes)
        try:
            manager.create_secret(Name=name, SecretString=text)
        except manager.exceptions.ResourceExistsException:
            manager.put_secret_value(SecretId=name, SecretString=text)

    return keep


@pytest.fixture(scope="session")
def stack(cloud: Cloud, keep_secret: Keep, request: pytest.FixtureRequest) -> Stack:
    """The stack as an application deploys it, whose schedule fires in a minute."""
    keep_secret("clerksync/e2e")
    stack = Stack(cloud, "clerksync-e2e")
    request.config.stash[_DEPLOYED] = stack
    stack.deploy(SecretId="clerksync/e2e", SyncSchedule="rate(1 minute)")
    stack.route()
    return stack


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Below a test that fails stands what the functions logged."""
    report = yield
    stack = item.config.stash.get(_DEPLOYED, None)
    if report.failed and stack is not None:
        report.sections.append((f"functions of {stack.name}", stack.logs()))
        report.sections.append(("ministack", stack.cloud.log()))
    return report


def wait_until(what: str, holds: Callable[[], Any], *, seconds: float = 100) -> Any:
    """Whatever it gives, when it is there at last."""
    began = time.monotonic()
    say(f"waiting: {what}")
    while not (found := holds()):
        passed = time.monotonic() - began
        assert passed < seconds, f"not after {passed:.0f} seconds: {what}"
        time.sleep(0.5)
    say(f"after {time.monotonic() - began:.0f} s: {what}")
    return found
