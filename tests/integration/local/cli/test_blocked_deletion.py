"""Commands that would delete a user whom another table holds."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from local.stub_clerk.stub import StubClerk
from tests.integration.local.cli.output import summary
from tests.people import shown
from tests.tables import rows
from tests.terminal import clerksync_here


@pytest.fixture
def held(
    tmp_path: Path,
    settings: dict[str, str],
    stub: StubClerk,
    connection: psycopg.Connection,
) -> Iterator[str]:
    """A user who is gone from Clerk, and has an order here."""
    clerksync_here("sync", cwd=tmp_path, **settings)
    clerk_id = min(shown(stub))
    connection.execute("CREATE TABLE orders (user_id text REFERENCES users)")
    connection.execute("INSERT INTO orders VALUES (%s)", [clerk_id])
    stub.delete_user(clerk_id)
    yield clerk_id
    connection.execute("DROP TABLE orders")


@pytest.mark.parametrize("command", ["sync-user", "cleanup", "sync"])
def test_what_blocks_is_named_and_what_to_do(
    tmp_path: Path,
    settings: dict[str, str],
    connection: psycopg.Connection,
    held: str,
    command: str,
) -> None:
    """Partial, exit code 1, and counted; the row is there as it was."""
    arguments = [command, held] if command == "sync-user" else [command]
    done = clerksync_here(*arguments, cwd=tmp_path, **settings)
    assert done.returncode == 1
    status, reason, *_ = (
        line
        for line in done.stdout.splitlines()
        if not line.startswith("reading ") and not line.startswith("proving ")
    )
    assert status.startswith("partial (")
    assert "1 user could not be deleted: blocked by orders.orders_user_id_fkey. " in (
        reason
    )
    assert "ON DELETE CASCADE or SET NULL" in reason
    counts = summary(done.stdout)
    assert (counts["deleted"], counts["deletions_blocked"]) == (0, 1)
    said = clerksync_here("status", cwd=tmp_path, **settings).stdout
    if command != "sync-user":
        assert "1 deletion was blocked in the last run, and counted as failed." in said
    assert held in rows(connection)
    assert rows(connection, "sync_state")[held]["deleted_at"] is None


def test_the_statement_that_doctor_gives_lets_the_user_go(
    tmp_path: Path,
    settings: dict[str, str],
    connection: psycopg.Connection,
    held: str,
) -> None:
    """From the message of a run to its end."""
    told = clerksync_here("doctor", cwd=tmp_path, **settings).stdout
    (line,) = (line for line in told.splitlines() if "orders_user_id_fkey" in line)
    connection.execute(line.partition("Mend it: ")[2].partition(";")[0].encode())
    done = clerksync_here("cleanup", cwd=tmp_path, **settings)
    assert done.returncode == 0
    assert summary(done.stdout)["deleted"] == 1
    assert held not in rows(connection)
