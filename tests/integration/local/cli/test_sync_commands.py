"""migrate, sync, cleanup and sync-user against a real Postgres and a stub Clerk."""

import re
from pathlib import Path

import psycopg
import pytest

from local.stub_clerk.stub import StubClerk
from tests.integration.local.cli.output import summary
from tests.people import shown
from tests.tables import rows
from tests.terminal import (
    clerksync,
    clerksync_here,
    clerksync_on_a_terminal,
)

ESCAPE = "\x1b"


@pytest.mark.alters_schema
def test_migrate_brings_an_empty_database_up_to_date(
    tmp_path: Path, settings: dict[str, str], connection: psycopg.Connection
) -> None:
    """Before, a sync says so; the second time there is nothing to do."""
    connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    early = clerksync_here("sync", cwd=tmp_path, **settings)
    assert early.returncode == 1
    assert "run clerksync migrate" in early.stderr
    first = clerksync("migrate", cwd=tmp_path, **settings)
    assert (first.returncode, first.stderr) == (0, "")
    assert "applied 0001_tables.sql\n" in first.stdout
    second = clerksync_here("migrate", cwd=tmp_path, **settings)
    assert (second.returncode, second.stdout) == (0, "The schema is up to date.\n")
    assert clerksync_here("sync", cwd=tmp_path, **settings).returncode == 0


def test_sync_in_a_pipe_writes_plain_lines_and_a_summary(
    tmp_path: Path,
    settings: dict[str, str],
    stub: StubClerk,
    connection: psycopg.Connection,
) -> None:
    """For logs: no colour, no bar, one fact a line."""
    done = clerksync("sync", cwd=tmp_path, **settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert ESCAPE not in done.stdout
    assert "\r" not in done.stdout
    progress, status, *_ = done.stdout.splitlines()
    assert (progress, status) == ("reading Clerk: 30 of 30", "completed (full)")
    counts = summary(done.stdout)
    assert (counts["fetched"], counts["created"]) == (30, len(shown(stub)))
    assert rows(connection).keys() == shown(stub)
    assert list(tmp_path.iterdir()) == []


def test_sync_on_a_terminal_shows_a_progress_bar(
    tmp_path: Path, settings: dict[str, str], stub: StubClerk
) -> None:
    """It ends full, and the summary is below it."""
    code, output = clerksync_on_a_terminal("sync", cwd=tmp_path, **settings)
    assert code == 0
    assert f"{ESCAPE}[" in output
    bar, _, below = output.rpartition("━" * 40)
    assert "reading Clerk" in bar
    assert "30/30" in below
    assert "completed" in below
    assert re.search(rf"^created +{len(shown(stub))}\s*$", below, re.MULTILINE)


def test_a_dry_run_changes_nothing(
    tmp_path: Path, settings: dict[str, str], connection: psycopg.Connection
) -> None:
    """And says that it was one."""
    done = clerksync_here("sync", "--dry-run", cwd=tmp_path, **settings)
    assert done.returncode == 0
    assert "completed (full, dry run)" in done.stdout
    assert summary(done.stdout)["created"] > 0
    assert rows(connection) == {}


def test_each_mode_does_its_part(
    tmp_path: Path,
    settings: dict[str, str],
    stub: StubClerk,
    connection: psycopg.Connection,
) -> None:
    """Incremental writes, and cleanup deletes; `sync --mode cleanup` is the same."""

    def run(*arguments: str) -> dict[str, int]:
        done = clerksync_here(*arguments, cwd=tmp_path, **settings)
        assert done.returncode == 0, done.stderr
        return summary(done.stdout)

    everybody = len(shown(stub))
    assert run("sync", "--mode", "incremental")["created"] == everybody
    first, second, *_ = sorted(shown(stub))
    stub.delete_user(first)
    assert run("sync", "--mode", "incremental")["deleted"] == 0
    counts = run("cleanup")
    assert (counts["orphans_found"], counts["deleted"]) == (1, 1)
    stub.delete_user(second)
    assert run("sync", "--mode", "cleanup")["deleted"] == 1
    assert rows(connection).keys() == shown(stub)


def test_a_refused_run_ends_with_1_and_force_goes_on(
    tmp_path: Path,
    settings: dict[str, str],
    stub: StubClerk,
    connection: psycopg.Connection,
) -> None:
    """Most users gone at once: the reason says what to do."""
    clerksync_here("sync", cwd=tmp_path, **settings)
    for clerk_id in sorted(shown(stub))[5:]:
        stub.delete_user(clerk_id)
    before = rows(connection)
    for command in ("sync", "cleanup"):
        refused = clerksync_here(command, cwd=tmp_path, **settings)
        assert refused.returncode == 1
        assert f"refused ({'full' if command == 'sync' else 'cleanup'})\n" in (
            refused.stdout
        )
        assert "None was deleted. If they are really gone, use force." in refused.stdout
        assert summary(refused.stdout)["deleted"] == 0
    assert rows(connection) == before
    forced = clerksync_here("cleanup", "--force", cwd=tmp_path, **settings)
    assert forced.returncode == 0
    assert rows(connection).keys() == shown(stub)


def test_sync_user_writes_one_user_or_deletes_it(
    tmp_path: Path,
    settings: dict[str, str],
    stub: StubClerk,
    connection: psycopg.Connection,
) -> None:
    """Clerk's answer by id decides."""
    clerk_id = min(shown(stub))
    written = clerksync_here("sync-user", clerk_id, cwd=tmp_path, **settings)
    assert written.returncode == 0
    assert rows(connection).keys() == {clerk_id}
    stub.delete_user(clerk_id)
    deleted = clerksync_here("sync-user", clerk_id, cwd=tmp_path, **settings)
    assert deleted.returncode == 0
    assert summary(deleted.stdout)["deleted"] == 1
    assert rows(connection) == {}
