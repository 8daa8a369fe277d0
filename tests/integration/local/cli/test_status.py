"""`clerksync status`: both sides counted, and the ledger as a table."""

import json
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest

from local.stub_clerk.faults import Fault
from local.stub_clerk.stub import StubClerk
from tests.clock import RunClock
from tests.doors import NOBODY_LISTENS, UNREACHABLE, assert_tells_nothing_private
from tests.integration.bulk.parallel.walks import late_from
from tests.people import shown
from tests.terminal import (
    clerksync,
    clerksync_here,
    clerksync_on_a_terminal,
)


@pytest.fixture(autouse=True)
def without_email(stub: StubClerk) -> None:
    """Two of the thirty users have none."""
    everybody = stub.ids()
    for user_id in everybody:
        stub.update_user(user_id, email=f"{user_id.lower()}@example.com", notify=False)
    for user_id in everybody[:2]:
        stub.update_user(user_id, email=None, notify=False)


class Cli:
    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.folder = folder
        self.settings = settings

    def sync(self, *arguments: str) -> None:
        clerksync_here("sync", *arguments, cwd=self.folder, **self.settings)

    def status(self, code: int = 0, **changes: str) -> dict[str, Any]:
        """What programs read."""
        settings = self.settings | changes
        done = clerksync_here("status", "--json", cwd=self.folder, **settings)
        assert done.returncode == code, done.stderr
        assert_tells_nothing_private(done.stdout)
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def text(self, **changes: str) -> str:
        """What people read, in one line with single spaces."""
        settings = self.settings | changes
        done = clerksync_here("status", cwd=self.folder, **settings)
        assert_tells_nothing_private(done.stdout)
        return " ".join(done.stdout.split())


@pytest.fixture
def cli(tmp_path: Path, settings: dict[str, str]) -> Cli:
    return Cli(tmp_path, settings)


def test_before_the_first_sync_everybody_is_missing(cli: Cli) -> None:
    """And it says what to do."""
    status = cli.status()
    assert (status["clerk_users"], status["users"], status["drift"]) == (30, 0, 30)
    assert (status["runs"], status["last_full_run"]) == ([], None)
    assert "drift 30 missing in the table" in cli.text()
    assert "No full run has been completed yet: run clerksync sync." in cli.text()


def test_after_a_sync_both_sides_are_told_with_who_is_skipped(cli: Cli) -> None:
    """Those without an email are no drift."""
    cli.sync()
    status = cli.status()
    assert (status["clerk_users"], status["users"], status["drift"]) == (30, 28, 0)
    assert status["skipped"] == {"no email": 2}
    (run,) = status["runs"]
    assert status["last_full_run"] == run
    assert (run["mode"], run["status"], run["created"]) == ("full", "completed", 28)
    text = cli.text()
    assert "users at Clerk 30 users in the table 28 skipped 2 no email" in text
    assert re.search(r"full completed [\d.]+ s 28 0 0 0 ", text)
    assert "ago, and put 28 users right." in text


def test_users_that_are_too_many_are_drift_as_well(cli: Cli, stub: StubClerk) -> None:
    """A deletion that no webhook told of."""
    cli.sync()
    stub.delete_user(max(shown(stub)), notify=False)
    assert cli.status()["drift"] == -1
    assert "drift 1 more than at Clerk" in cli.text()


def test_who_was_skipped_and_is_gone_is_no_drift(cli: Cli, stub: StubClerk) -> None:
    """After a full run; no webhook told of it, and there never was a row."""
    cli.sync()
    stub.delete_user(min(set(stub.ids()) - shown(stub)), notify=False)
    assert cli.status()["drift"] == -1
    cli.sync()
    status = cli.status()
    assert (status["clerk_users"], status["drift"]) == (29, 0)
    assert (status["skipped"], status["tombstones"]) == ({"no email": 1}, 1)


def test_tombstones_and_odd_rows_are_told(
    cli: Cli, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """Rows that are not Clerk's, and rows that no sync has written."""
    cli.sync()
    stub.delete_user(max(shown(stub)), notify=False)
    cli.sync()
    connection.execute("INSERT INTO users (id) VALUES ('admin'), ('user_ByHand')")
    status = cli.status()
    counts = ("tombstones", "other_keys", "never_synced", "soft_deleted", "users")
    assert [status[name] for name in counts] == [1, 1, 1, 0, 28]
    text = cli.text()
    assert "tombstones 1 deleted, and stay deleted never synced 1 rows that" in text
    assert "other rows 1 their key is no Clerk id" in text


def test_rows_that_soft_deletion_keeps_are_not_users(cli: Cli, stub: StubClerk) -> None:
    """They are told apart."""
    cli.settings["CLERKSYNC_DELETE_MODE"] = "soft"
    cli.sync()
    stub.delete_user(max(shown(stub)), notify=False)
    cli.sync()
    status = cli.status()
    assert (status["users"], status["soft_deleted"], status["drift"]) == (27, 1, 0)
    assert "soft-deleted 1 rows that are kept" in cli.text()


def test_a_run_that_failed_is_told_with_its_reason(cli: Cli, stub: StubClerk) -> None:
    """The drift of the last complete one stays."""
    cli.sync()
    stub.fail_next(1, path="/v1/users", fault=Fault(status=400))
    cli.sync()
    newest, oldest = cli.status()["runs"]
    assert (newest["status"], oldest["status"]) == ("failed", "completed")
    text = cli.text()
    assert "The last run ended failed: Clerk answered 400" in text
    assert "and put 28 users right." in text


def test_a_dry_run_that_failed_is_marked_as_one(cli: Cli, stub: StubClerk) -> None:
    """Nothing happened to the table."""
    stub.fail_next(1, path="/v1/users", fault=Fault(status=400))
    cli.sync("--dry-run")
    text = cli.text()
    assert " full dry run failed " in text
    assert "The last dry run ended failed: Clerk answered 400" in text


def test_a_dry_run_is_marked(cli: Cli) -> None:
    """It has put nobody right."""
    cli.sync("--dry-run")
    status = cli.status()
    assert status["runs"][0]["dry_run"] is True
    assert status["last_full_run"] is None
    assert " full dry run " in cli.text()


@pytest.mark.parametrize(
    ("age", "told"),
    [
        ("3 minutes", "A run (full) is in progress, for 3 min."),
        ("5 hours", "A run (full) says that it is running, for 5 h: it was killed"),
    ],
)
def test_a_run_that_has_not_ended_is_told(
    cli: Cli, connection: psycopg.Connection, age: str, told: str
) -> None:
    """One in progress, and one that was probably killed."""
    connection.execute(
        "INSERT INTO sync_runs (mode, dry_run, started_at)"
        " VALUES ('full', false, now() - %s::interval)",
        [age],
    )
    assert told in cli.text()
    assert cli.status()["runs"][0]["status"] == "running"


def test_a_checkpoint_that_waits_is_told(
    cli: Cli, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next run of that mode goes on from there."""
    clock = RunClock(monkeypatch, stopped=True)
    with StubClerk(users=3_000) as many:
        settings |= {"CLERK_SECRET_KEY": many.secret_key, "CLERK_API_URL": many.url}
        # Several could have asked for all pages before the second one is counted.
        settings |= {"CLERKSYNC_WORKERS": "1"}
        many.interfere = late_from("order_by", 2, clock, by=3600)
        cli.sync("--time-limit", "60")
        many.interfere = None
        assert cli.status()["runs"][0]["has_checkpoint"] is True
        told = "with users to come: the next of that mode goes on from there."
        assert told in cli.text()
        cli.sync()
        assert told not in cli.text()


@pytest.mark.parametrize("why", ["away", "key", "no key"])
def test_without_clerk_the_rest_is_told_and_it_ends_with_1(cli: Cli, why: str) -> None:
    """Clerk that does not answer, a wrong key, none at all."""
    cli.sync()
    wrong = {
        "away": {"CLERK_API_URL": NOBODY_LISTENS},
        "key": {"CLERK_SECRET_KEY": "sk_test_wrong"},
        "no key": {"CLERK_SECRET_KEY": ""},
    }[why]
    status = cli.status(code=1, **wrong)
    assert (status["clerk_users"], status["drift"]) == (None, None)
    assert status["users"] == 28
    assert "Clerk" in status["clerk_error"]
    text = cli.text(**wrong)
    assert "users at Clerk unknown Clerk could not be asked" in text
    assert "users in the table 28" in text
    assert "drift" not in text
    assert text.endswith(status["clerk_error"])


def test_without_a_database_there_is_nothing_to_tell(cli: Cli) -> None:
    """One line on what to check."""
    settings = cli.settings | {"DATABASE_URL": UNREACHABLE}
    done = clerksync_here("status", cwd=cli.folder, **settings)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: Postgres cannot be reached")


@pytest.mark.alters_schema
def test_a_database_that_was_never_migrated_says_so(
    cli: Cli, connection: psycopg.Connection
) -> None:
    """With what to call."""
    connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    done = clerksync_here("status", cwd=cli.folder, **cli.settings)
    assert done.returncode == 1
    assert "run clerksync migrate" in done.stderr


def test_the_widest_table_has_room_in_80_columns(
    cli: Cli, connection: psycopg.Connection
) -> None:
    """On a terminal and in a pipe, with numbers of millions; the pipe is plain."""
    connection.execute(
        "INSERT INTO sync_runs (mode, dry_run, status, started_at, finished_at, report)"
        " VALUES ('incremental', false, 'completed', now() - interval '90 minutes',"
        ' now(), \'{"created": 999999, "updated": 999999, "deleted": 999999}\')'
    )
    done = clerksync("status", cwd=cli.folder, **cli.settings)
    lines = done.stdout.splitlines()
    (row,) = (line for line in lines if " incremental " in line)
    assert row.split()[-5:] == ["min", "999,999", "999,999", "999,999", "0"]
    assert len(row.rstrip()) <= 80
    assert "\x1b" not in done.stdout
    narrow = cli.settings | {"COLUMNS": "80"}
    code, output = clerksync_on_a_terminal("status", cwd=cli.folder, **narrow)
    assert code == 0
    assert "999,999 999,999 999,999" in output
