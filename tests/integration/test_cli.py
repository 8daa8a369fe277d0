"""The command line: each command against a real Postgres and a stub Clerk."""

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from svix.webhooks import Webhook

from local.stub_clerk import Fault, StubClerk
from tests.doors import UNREACHABLE
from tests.people import user_id
from tests.tables import rows
from tests.terminal import (
    COMMAND,
    EVENTS,
    Running,
    clean_environment,
    clerksync,
    clerksync_here,
    clerksync_on_a_terminal,
    eventually,
    servers_in,
)

ESCAPE = "\x1b"
CREATED = EVENTS / "user_created.json"
MIRA = "user_2x0iqy5a2csrtTDuShPB6LKCwD5"


@pytest.fixture
def stub() -> Iterator[StubClerk]:
    with StubClerk(users=30) as stub:
        yield stub


@pytest.fixture
def settings(stub: StubClerk, database_url: str) -> dict[str, str]:
    """What the environment says of a Clerk instance and a database of one's own."""
    return {
        "DATABASE_URL": database_url,
        "CLERK_SECRET_KEY": stub.secret_key,
        "CLERK_API_URL": stub.url,
        "CLERK_ISSUER": stub.issuer,
        "CLERK_WEBHOOK_SIGNING_SECRET": stub.webhook_signing_secret,
    }


def shown(stub: StubClerk) -> set[str]:
    """The ids of the users who have an email at Clerk."""
    return {i for i in stub.ids() if stub.get_user(i)["primary_email_address_id"]}


def summary(output: str) -> dict[str, int]:
    """The counts at the end of a run."""
    pairs = (line.split() for line in output.splitlines()[-11:])
    return {name: int(count) for name, count in pairs}


def answered(done: subprocess.CompletedProcess[str]) -> tuple[int, Any]:
    """Status and body of a function behind HTTP."""
    answer = json.loads(done.stdout)
    return answer["statusCode"], json.loads(answer["body"])


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
    assert f"created          {len(shown(stub))}" in below


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


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["no-such-command"], "no-such-command"),
        (["sync", "--mode", "everything"], "everything"),
        (["sync", "--dry"], "--dry"),
        (["sync", "more"], "more"),
        (["sync-user"], "ID"),
        (["sync-user", "1; DROP TABLE users"], "user_"),
        (["invoke", "webhook"], "event_file"),
        (["invoke", "no-such-function", str(CREATED)], "no-such-function"),
        (["invoke", "webhook", "no-such-file.json"], "no-such-file.json"),
        (["invoke", "webhook", "."], "directory"),
        (["sign", "broken.json"], "not a JSON object"),
        (["sign", "list.json"], "not a JSON object"),
        (["sign", "binary.json"], "not a JSON object"),
        (["sign", str(EVENTS / "bulk_full.json")], "no text body"),
    ],
)
def test_wrong_use_ends_with_2_and_names_what_is_wrong(
    tmp_path: Path, arguments: list[str], named: str
) -> None:
    """Before anything is started or asked."""
    (tmp_path / "broken.json").write_text('{"body": ')
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe")
    done = clerksync_here(
        *arguments, cwd=tmp_path, CLERK_WEBHOOK_SIGNING_SECRET="whsec_c2VjcmV0"
    )
    assert done.returncode == 2
    assert named.lower() in " ".join(done.stderr.split()).lower()
    assert done.stdout == ""
    assert not (tmp_path / ".clerksync").exists()


def test_without_a_command_the_commands_are_listed(tmp_path: Path) -> None:
    """That is help, and wrong use."""
    done = clerksync_here(cwd=tmp_path)
    assert done.returncode == 2
    for command in ("migrate", "sync", "cleanup", "sync-user", "invoke", "sign"):
        assert command in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        (
            {"CLERK_SECRET_KEY": ""},
            "CLERK_SECRET_KEY is not set. Copy it (sk_test_… or sk_live_…) from API",
        ),
        (
            {"DATABASE_URL": ""},
            "DATABASE_URL is not set. Set it to postgresql://user:password@host",
        ),
        (
            {"DATABASE_URL": UNREACHABLE},
            "Postgres cannot be reached: check the host and port of DATABASE_URL",
        ),
        (
            {"DATABASE_URL": "somebody:correct-horse"},
            "DATABASE_URL is not a Postgres URL",
        ),
        ({"CLERKSYNC_MAX_ORPHAN_RATIO": "10%"}, "CLERKSYNC_MAX_ORPHAN_RATIO must be"),
        ({"CLERKSYNC_DELETE_MODE": "never"}, "CLERKSYNC_DELETE_MODE must be hard or"),
    ],
    ids=["no key", "no database", "unreachable", "no URL", "ratio", "delete mode"],
)
def test_a_setting_that_is_missing_or_wrong_is_named_with_what_to_do(
    tmp_path: Path, settings: dict[str, str], wrong: dict[str, str], advice: str
) -> None:
    """On stderr, in one line, without the value, and with exit code 1."""
    done = clerksync_here("sync", cwd=tmp_path, **settings | wrong)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {advice}")
    for secret in ("correct-horse", "somebody", settings["CLERK_SECRET_KEY"]):
        assert secret not in done.stdout + done.stderr


def test_a_database_that_cannot_be_reached_shows_no_traceback(tmp_path: Path) -> None:
    """From a process of its own, which ends with 1 and keeps the password."""
    done = clerksync(
        "migrate", cwd=tmp_path, DATABASE_URL=UNREACHABLE, CLERK_SECRET_KEY="sk_test_x"
    )
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: Postgres cannot be reached: check ")


def test_what_the_server_refuses_is_told_without_its_words(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    """They might quote data. The code is enough to look it up."""
    options = "-c default_transaction_read_only=on"
    url = make_conninfo(settings["DATABASE_URL"], options=options)
    done = clerksync_here("sync", cwd=tmp_path, **settings | {"DATABASE_URL": url})
    assert done.returncode == 1
    assert done.stderr == (
        "error: Postgres refused: ReadOnlySqlTransaction (SQLSTATE 25006).\n"
    )


@pytest.mark.parametrize("wrong", ["key", "Clerk"])
def test_a_run_that_clerk_refuses_fails_with_its_reason(
    tmp_path: Path, settings: dict[str, str], stub: StubClerk, wrong: str
) -> None:
    """A wrong key, and an answer that asking again does not change."""
    if wrong == "key":
        settings |= {"CLERK_SECRET_KEY": "sk_test_wrong"}
    else:
        stub.fail_next(1, path="/v1/users", fault=Fault(status=400))
    done = clerksync_here("sync", cwd=tmp_path, **settings)
    assert done.returncode == 1
    status, reason, *_ = done.stdout.splitlines()
    assert status == "failed (full)"
    assert ("CLERK_SECRET_KEY" if wrong == "key" else "400") in reason
    assert "sk_test_wrong" not in done.stdout + done.stderr


def test_dotenv_is_read_and_the_environment_wins(
    tmp_path: Path, settings: dict[str, str], connection: psycopg.Connection
) -> None:
    """The URL of .env leads nowhere; its key is right."""
    key = settings.pop("CLERK_SECRET_KEY")
    (tmp_path / ".env").write_text(
        f'export CLERK_SECRET_KEY="{key}"\n'
        f"DATABASE_URL={UNREACHABLE}\n"
        "CLERKSYNC_DEFAULT_TIER=TRIAL # of new users\n"
    )
    assert clerksync_here("sync", cwd=tmp_path, **settings).returncode == 0
    assert {row["tier"] for row in rows(connection).values()} == {"TRIAL"}
    settings.pop("DATABASE_URL")
    done = clerksync_here("sync", cwd=tmp_path, **settings)
    assert done.returncode == 1
    assert "cannot be reached" in done.stderr


def test_a_signed_event_can_be_piped_into_a_function(
    tmp_path: Path, settings: dict[str, str], connection: psycopg.Connection
) -> None:
    """As into `sam local invoke WebhookFunction --event -`: stdout is the event, and
    nothing else."""
    done = subprocess.run(  # noqa: S603 - what a person would type
        [
            "/bin/bash",
            "-euo",
            "pipefail",
            "-c",
            '"$0" sign "$1" | "$0" invoke WebhookFunction -',
            COMMAND,
            str(CREATED),
        ],
        cwd=tmp_path,
        env=clean_environment(**settings),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert answered(done) == (200, {"success": True, "action": "created"})
    assert rows(connection).keys() == {MIRA}


def test_a_signature_is_fresh_valid_and_the_only_thing_that_changes(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    """Svix's own verifier takes it; from standard input it is the same."""
    event = json.loads(CREATED.read_text())
    for file, stdin in ((str(CREATED), ""), ("-", CREATED.read_text())):
        done = clerksync_here("sign", file, cwd=tmp_path, stdin=stdin, **settings)
        assert (done.returncode, done.stderr) == (0, "")
        signed = json.loads(done.stdout)
        secret = settings["CLERK_WEBHOOK_SIGNING_SECRET"]
        Webhook(secret).verify(signed["body"], signed["headers"])
        changed = {n for n, v in signed["headers"].items() if v != event["headers"][n]}
        assert changed == {"svix-id", "svix-timestamp", "svix-signature"}
        assert signed | {"headers": None} == event | {"headers": None}


def test_every_sample_of_a_webhook_can_be_signed(
    tmp_path: Path, stub: StubClerk
) -> None:
    """The older name of the secret will do, and nothing else need be set."""
    secret = stub.webhook_signing_secret
    samples = [f for f in EVENTS.glob("*.json") if "svix-id" in f.read_text()]
    assert len(samples) >= 4
    for file in samples:
        done = clerksync_here("sign", file, cwd=tmp_path, CLERK_WEBHOOK_SECRET=secret)
        signed = json.loads(done.stdout)
        Webhook(secret).verify(signed["body"], signed["headers"])


def test_signing_without_a_secret_says_where_to_find_it(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    """With an instance of one's own, the stub's secret would be of no use."""
    del settings["CLERK_WEBHOOK_SIGNING_SECRET"]
    done = clerksync_here("sign", CREATED, cwd=tmp_path, **settings)
    assert (done.returncode, done.stdout) == (1, "")
    assert "CLERK_WEBHOOK_SIGNING_SECRET is not set" in done.stderr
    assert "Webhooks in the Clerk dashboard" in done.stderr


def test_a_secret_that_is_none_is_named(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    """By its name, not by its value."""
    settings |= {"CLERK_WEBHOOK_SIGNING_SECRET": "whsec_abcde"}
    for command in (["sign"], ["invoke", "webhook"]):
        done = clerksync_here(*command, CREATED, cwd=tmp_path, **settings)
        assert (done.returncode, done.stdout) == (1, "")
        assert "CLERK_WEBHOOK_SIGNING_SECRET is none" in done.stderr
        assert "abcde" not in done.stderr


def test_signing_without_any_setting_takes_the_secret_of_the_stub(
    tmp_path: Path, stub: StubClerk
) -> None:
    """All stubs have the same; none is started for it."""
    done = clerksync_here("sign", CREATED, cwd=tmp_path)
    assert done.returncode == 0
    assert "the stub Clerk" in done.stderr
    signed = json.loads(done.stdout)
    Webhook(stub.webhook_signing_secret).verify(signed["body"], signed["headers"])
    assert not (tmp_path / ".clerksync").exists()


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


def test_without_settings_commands_act_on_a_stub_and_a_database_of_their_own(
    tmp_path: Path,
) -> None:
    """In .clerksync: no command says what is missing, each keeps the data of the one
    before, and no process stays."""
    first = clerksync("sync", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert first.stderr == (
        "No settings: acting on the stub Clerk and the embedded Postgres.\n"
    )
    created = summary(first.stdout)["created"]
    assert created > 900
    second = clerksync("invoke", "bulk_sync", EVENTS / "bulk_full.json", cwd=tmp_path)
    assert second.returncode == 0, second.stderr
    report = json.loads(second.stdout)
    assert (report["created"], report["unchanged"]) == (0, created)
    assert servers_in(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == [".clerksync"]
    shutil.rmtree(tmp_path / ".clerksync")


def test_a_terminal_that_closes_while_postgres_starts_leaves_no_server(
    tmp_path: Path,
) -> None:
    """The signal waits for the server to be there, and then ends that too; the next
    command finds whole data."""
    state = tmp_path / ".clerksync"
    with Running("migrate", cwd=tmp_path) as command:
        assert eventually((state / "postgres" / "log").exists)
        command.tell(signal.SIGHUP)
        assert command.wait() == 130
    assert command.output == ""
    assert servers_in(tmp_path) == []
    assert clerksync("migrate", cwd=tmp_path).returncode == 0
    shutil.rmtree(state)
