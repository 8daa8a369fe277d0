"""tier, rate-limit, and sync-user with a tier."""

from pathlib import Path

import psycopg
import pytest

from local.stub_clerk.stub import StubClerk
from tests.integration.local.cli.output import summary
from tests.people import shown, user_id
from tests.tables import rows
from tests.terminal import clerksync_here


@pytest.fixture
def synced(
    tmp_path: Path, settings: dict[str, str], stub: StubClerk
) -> tuple[str, dict[str, str]]:
    """A user who is in the table, FREE, and the settings to act on it."""
    clerk_id = min(shown(stub))
    done = clerksync_here("sync-user", clerk_id, cwd=tmp_path, **settings)
    assert done.returncode == 0
    return clerk_id, settings


def test_tier_shows_and_sets_the_tier_of_a_user(
    tmp_path: Path, synced: tuple[str, dict[str, str]], connection: psycopg.Connection
) -> None:
    """The old one and the new one; the bucket stays as it was."""
    clerk_id, settings = synced
    shown_first = clerksync_here("tier", clerk_id, cwd=tmp_path, **settings)
    assert shown_first.stdout == (
        f"{clerk_id}: FREE, 60 tokens at most, 1 back each second\n"
    )
    before = rows(connection, "rate_limits")
    done = clerksync_here("tier", clerk_id, "PRO", cwd=tmp_path, **settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{clerk_id}: FREE → PRO\n"
    assert rows(connection)[clerk_id]["tier"] == "PRO"
    assert rows(connection, "rate_limits") == before
    again = clerksync_here("tier", clerk_id, cwd=tmp_path, **settings)
    assert again.stdout.startswith(f"{clerk_id}: PRO, 300 tokens")


@pytest.mark.parametrize("command", ["tier", "sync-user"])
def test_an_unknown_tier_is_refused_with_the_known_ones(
    tmp_path: Path,
    settings: dict[str, str],
    stub: StubClerk,
    connection: psycopg.Connection,
    command: str,
) -> None:
    """Before anything is written, and before Clerk is asked."""
    clerk_id = min(shown(stub))
    tier = ["pro"] if command == "tier" else ["--tier", "pro"]
    done = clerksync_here(command, clerk_id, *tier, cwd=tmp_path, **settings)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: There is no tier pro. There are FREE, PRO, MAXX, ENTERPRISE; a further "
        "one is a row of the table tiers.\n"
    )
    assert rows(connection) == {}
    assert stub.requests == 0


@pytest.mark.parametrize("arguments", [[], ["PRO"]], ids=["shown", "set"])
def test_a_user_who_is_not_there_is_an_error_that_says_what_to_do(
    tmp_path: Path, settings: dict[str, str], arguments: list[str]
) -> None:
    """One line, with the command that brings the user in."""
    done = clerksync_here("tier", user_id(404), *arguments, cwd=tmp_path, **settings)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {user_id(404)} is not in the table")
    assert f"clerksync sync-user {user_id(404)}" in line


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["tier"], "ID"),
        (["tier", "legacy-7", "PRO"], "user_"),
        (["rate-limit", "user-1"], "user_"),
        (["rate-limit", user_id(1), "--burst", "0"], "--burst"),
        (["rate-limit", user_id(1), "--cost", "nan"], "--cost"),
    ],
)
def test_wrong_use_ends_with_2(
    tmp_path: Path, arguments: list[str], named: str
) -> None:
    """Before anything is started or asked."""
    done = clerksync_here(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert named in done.stderr
    assert not (tmp_path / ".clerksync").exists()


def test_sync_user_sets_the_tier_of_whom_it_has_synced(
    tmp_path: Path,
    settings: dict[str, str],
    stub: StubClerk,
    connection: psycopg.Connection,
) -> None:
    """The report first, then the tier. A later sync keeps it."""
    clerk_id = min(shown(stub))

    def run(*arguments: str) -> str:
        done = clerksync_here(
            "sync-user", clerk_id, *arguments, cwd=tmp_path, **settings
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    assert summary(run("--tier", "PRO", "--dry-run"))["created"] == 1
    assert rows(connection) == {}
    report, _, told = run("--tier", "PRO").rstrip().rpartition("\n")
    assert summary(report)["created"] == 1
    assert told == f"{clerk_id}: FREE → PRO"
    assert summary(run())["unchanged"] == 1
    assert rows(connection)[clerk_id]["tier"] == "PRO"


def test_sync_user_of_whom_clerk_does_not_know_sets_no_tier(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    """The report says so, and the exit code that the tier was not set."""
    arguments = ("sync-user", user_id(404), "--tier", "PRO", "--json")
    done = clerksync_here(*arguments, cwd=tmp_path, **settings)
    assert done.returncode == 1
    assert '"status": "completed"' in done.stdout
    assert f"error: {user_id(404)} is not in the table" in done.stderr


def test_a_tier_that_sync_will_overwrite_is_set_with_a_warning(
    tmp_path: Path, synced: tuple[str, dict[str, str]]
) -> None:
    """Where the metadata at Clerk decide, they do so again."""
    clerk_id, settings = synced
    settings |= {"CLERKSYNC_TIER_METADATA_KEY": "plan"}
    done = clerksync_here("tier", clerk_id, "PRO", cwd=tmp_path, **settings)
    assert (done.returncode, done.stdout) == (0, f"{clerk_id}: FREE → PRO\n")
    assert "CLERKSYNC_TIER_METADATA_KEY is set: the next sync overwrites" in done.stderr


def test_a_burst_shows_what_the_bucket_lets_through(
    tmp_path: Path, synced: tuple[str, dict[str, str]], connection: psycopg.Connection
) -> None:
    """As a table and as a picture; it is the user's own bucket."""
    clerk_id, settings = synced
    connection.execute("UPDATE rate_limits SET tokens = 3, refilled_at = 'tomorrow'")
    done = clerksync_here(
        "rate-limit", clerk_id, "--burst", "40", cwd=tmp_path, **settings
    )
    assert (done.returncode, done.stderr) == (0, "")
    told, heading, allowed, refused, picture = done.stdout.splitlines()
    assert told == f"{clerk_id}: FREE, 60 tokens at most, 1 back each second"
    assert heading.split() == ["attempts", "remaining", "retry", "after"]
    assert allowed.split() == ["allowed", "3", "2", "…", "0"]
    assert refused.split() == ["refused", "37", "0", "1001", "ms"]
    assert picture == "■" * 3 + "□" * 37
    assert rows(connection, "rate_limits")[clerk_id]["tokens"] == 0


def test_a_burst_tells_by_what_a_user_without_a_row_is_judged(
    tmp_path: Path, synced: tuple[str, dict[str, str]], stub: StubClerk
) -> None:
    """Not synced: the default tier, and not counted. Deleted: nothing."""
    clerk_id, settings = synced

    def burst(who: str, *options: str) -> list[str]:
        done = clerksync_here("rate-limit", who, *options, cwd=tmp_path, **settings)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    lines = burst(user_id(404), "--burst", "70")
    assert lines[0].startswith(
        f"{user_id(404)} is not in the table, and so not counted"
    )
    assert "FREE, 60 tokens" in lines[0]
    assert lines[2].split() == ["allowed", "70", "59"]
    lines = burst(user_id(404), "--burst", "1", "--cost", "61")
    assert lines[3].split() == ["refused", "1", "60", "never"]
    stub.delete_user(clerk_id)
    clerksync_here("sync-user", clerk_id, cwd=tmp_path, **settings)
    lines = burst(clerk_id)
    assert lines[0] == f"{clerk_id} was deleted: nothing is allowed."
    assert lines[3].split() == ["refused", "20", "0", "never"]
