"""invoke: the functions at the command line."""

import json
from pathlib import Path

import psycopg
import pytest

from local.stub_clerk.stub import StubClerk
from tests.integration.local.cli.output import CREATED, MIRA, answered
from tests.people import shown, user_id
from tests.tables import rows
from tests.terminal import (
    EVENTS,
    clerksync_here,
)


@pytest.mark.parametrize("function", ["webhook", "WebhookFunction"])
def test_invoke_signs_a_sample_and_shows_the_answer(
    tmp_path: Path,
    settings: dict[str, str],
    connection: psycopg.Connection,
    function: str,
) -> None:
    """By folder or by the template's name; the placeholder of the file stays."""
    done = clerksync_here("invoke", function, CREATED, cwd=tmp_path, **settings)
    assert done.returncode == 0
    assert answered(done) == (200, {"success": True, "action": "created"})
    assert rows(connection)[MIRA]["email"] == "mira@example.com"
    assert "placeholder" in CREATED.read_text()


def test_invoke_of_a_refused_request_ends_with_1(
    tmp_path: Path, settings: dict[str, str], connection: psycopg.Connection
) -> None:
    """A signature that is none, and no placeholder either, is left as it is."""
    event = json.loads(CREATED.read_text())
    event["headers"]["svix-signature"] = "v1,Zm9yZ2Vk"
    stdin = json.dumps(event)
    done = clerksync_here(
        "invoke", "webhook", "-", cwd=tmp_path, stdin=stdin, **settings
    )
    assert done.returncode == 1
    status, body = answered(done)
    assert (status, list(body)) == (400, ["error"])
    assert rows(connection) == {}


@pytest.mark.parametrize("sample", ["self_sync.json", "users_me.json"])
def test_invoke_gives_a_sample_a_session_of_the_stub(
    tmp_path: Path,
    settings: dict[str, str],
    stub: StubClerk,
    sample: str,
) -> None:
    """A real token of one of its users takes the placeholder's place."""
    keep = min(shown(stub))
    for clerk_id in set(stub.ids()) - {keep}:
        stub.delete_user(clerk_id)
    clerksync_here("sync-user", keep, cwd=tmp_path, **settings)
    done = clerksync_here(
        "invoke", "self_sync", EVENTS / sample, cwd=tmp_path, **settings
    )
    assert done.returncode == 0, done.stderr
    status, body = answered(done)
    assert (status, body["user"]["id"]) == (200, keep)


@pytest.mark.parametrize("nobody", ["no listener", "no stub"])
def test_invoke_without_a_stub_asks_for_a_session_token(
    tmp_path: Path, settings: dict[str, str], stub: StubClerk, nobody: str
) -> None:
    """Nobody else gives one away."""
    url = f"{stub.url}/elsewhere" if nobody == "no stub" else "http://127.0.0.1:1"
    settings |= {"CLERK_API_URL": url}
    file = EVENTS / "self_sync.json"
    done = clerksync_here("invoke", "self_sync", file, cwd=tmp_path, **settings)
    assert (done.returncode, done.stdout) == (1, "")
    assert "put a real one into its authorization header" in done.stderr


@pytest.mark.parametrize("sample", ["scheduled", "bulk_full", "bulk_dry_run"])
def test_invoke_of_bulk_sync_prints_the_report(
    tmp_path: Path,
    settings: dict[str, str],
    stub: StubClerk,
    connection: psycopg.Connection,
    sample: str,
) -> None:
    """EventBridge's own event is a full run."""
    file = EVENTS / f"{sample}.json"
    done = clerksync_here("invoke", "bulk-sync", file, cwd=tmp_path, **settings)
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert (report["status"], report["mode"]) == ("completed", "full")
    assert report["created"] == len(shown(stub))
    expected = set() if sample == "bulk_dry_run" else shown(stub)
    assert rows(connection).keys() == expected


def test_invoke_of_a_run_that_is_refused_ends_with_1(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    """The report is printed all the same."""
    settings |= {"CLERKSYNC_INSTANCE_ID": "ins_another"}
    file = EVENTS / "bulk_full.json"
    done = clerksync_here("invoke", "BulkSyncFunction", file, cwd=tmp_path, **settings)
    assert done.returncode == 1
    assert json.loads(done.stdout)["status"] == "refused"


def test_invoke_of_a_function_that_raises_shows_its_message(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    """As Lambda does, and without a traceback."""
    stdin = json.dumps({"mode": "user", "user_id": user_id(1), "dryrun": True})
    done = clerksync_here(
        "invoke", "bulk_sync", "-", cwd=tmp_path, stdin=stdin, **settings
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "BulkSyncFailedError: Not an event of bulk sync" in done.stderr


@pytest.mark.parametrize("function", ["migrate", "MigrateFunction"])
@pytest.mark.parametrize("sample", ["migration", "migration_update"])
@pytest.mark.alters_schema
def test_invoke_of_migrate_brings_the_schema_up_and_prints_the_answer(
    tmp_path: Path,
    settings: dict[str, str],
    connection: psycopg.Connection,
    function: str,
    sample: str,
) -> None:
    """What CloudFormation would be told, to which nothing is sent."""
    connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    file = EVENTS / f"{sample}.json"
    done = clerksync_here("invoke", function, file, cwd=tmp_path, **settings)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["Status"], answer["Reason"]) == ("SUCCESS", "The schema is up.")
    assert answer["RequestId"] == json.loads(file.read_text())["RequestId"]
    assert rows(connection) == {}


def test_invoke_of_migrate_for_a_stack_that_goes_keeps_the_data(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    """And needs no database."""
    settings |= {"DATABASE_URL": "postgresql://127.0.0.1:1/none"}
    file = EVENTS / "migration_delete.json"
    done = clerksync_here("invoke", "migrate", file, cwd=tmp_path, **settings)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["Status"] == "SUCCESS"


def test_invoke_of_a_migration_that_fails_ends_with_1(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    """The reason is what a person would read in CloudFormation."""
    settings |= {"DATABASE_URL": "postgresql://127.0.0.1:1/none"}
    file = EVENTS / "migration.json"
    done = clerksync_here("invoke", "migrate", file, cwd=tmp_path, **settings)
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert answer["Status"] == "FAILED"
    assert answer["Reason"].startswith("Postgres cannot be reached")
