"""The real Postgres that the tests share."""

import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from clerksync.postgres.database import Database
from clerksync.write.user_batches import UserBatches
from tests.postgres import new_database, postgres_server

# How long an example takes tells of the machine, not of the code.
settings.register_profile(
    "clerksync", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("clerksync")

# In the background of a shell, the tests and all that they start would not hear Ctrl-C.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


_FOLDER = pytest.StashKey[Path]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Give each run a temporary folder that no other run touches.

    If root runs tests twice at the same time, the start of the second run closes
    pytest's usual folder to other users, and the embedded Postgres runs as one.
    """
    if config.option.basetemp is None:
        folder = Path(tempfile.mkdtemp(prefix="clerksync-tests-"))
        config.stash[_FOLDER] = folder
        config.option.basetemp = str(folder / "tmp")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove that folder. Workers use a part of it and leave it alone."""
    if folder := config.stash.get(_FOLDER, None):
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The server in CLERKSYNC_TEST_DATABASE_URL, or the embedded one."""
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def shared_database(server_url: str) -> Iterator[str]:
    """The URL of a migrated database for the tests that only fill and read tables."""
    with new_database(server_url) as url:
        yield url


@pytest.fixture
def database_url(request: pytest.FixtureRequest, server_url: str) -> Iterator[str]:
    """A database with the schema in place and nothing in it.

    Emptied after each test; one of its own for a test marked `alters_schema`.
    """
    if request.node.get_closest_marker("alters_schema"):
        with new_database(server_url) as url:
            yield url
        return
    url = request.getfixturevalue("shared_database")
    yield url
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(
            "TRUNCATE users, rate_limits, sync_state, sync_runs, sync_run_listed"
        )


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(lambda: database_url)
    yield database
    database.close()


@pytest.fixture
def users(database: Database) -> UserBatches:
    return UserBatches(database)


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    """A second look at the same database."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection
