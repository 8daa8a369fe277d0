"""`clerksync migrate` beside a transaction of the application that holds a lock."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.integration.schema.members import Application

pytestmark = pytest.mark.alters_schema

_ADVISORY = "SELECT pg_advisory_xact_lock(7236410598)"
_WAITS = """
    SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
      AND application_name = 'clerksync'
"""


def test_writes_of_the_application_do_not_wait_for_a_migration_that_waits(
    application: Application, connection: psycopg.Connection, database_url: str
) -> None:
    """It gives up, lets them pass, and begins again until it gets its locks."""
    application.describe(rate_limits=True)
    with (
        psycopg.connect(database_url, autocommit=True) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        other.execute("SET lock_timeout = '20s'")
        with connection.transaction():
            connection.execute("LOCK TABLE members IN ROW EXCLUSIVE MODE")
            migrating = pool.submit(application.migrate)
            while not other.execute(_WAITS).rowcount:
                assert not migrating.done(), migrating.result().stderr
            other.execute("UPDATE members SET email = email")
            holder = connection.info.backend_pid
        done = migrating.result()
    assert done.returncode == 0, done.stderr
    assert f"pid {holder} (idle in transaction, application " in done.stderr


@pytest.mark.parametrize("options", [[], ["--move-to", "clerksync"]])
@pytest.mark.usefixtures("installed_before")
def test_a_migration_that_does_not_get_its_lock_names_who_holds_it(
    application: Application, connection: psycopg.Connection, options: list[str]
) -> None:
    """Another migration, say. It exits with status 1 and says how to end that one."""
    holder = connection.info.backend_pid
    with connection.transaction():
        connection.execute(_ADVISORY)
        done = application.migrate(*options, "--lock-wait", "0")
    assert done.returncode == 1
    assert f"SELECT pg_terminate_backend({holder});" in done.stderr
    assert "Nothing was changed." in done.stderr
