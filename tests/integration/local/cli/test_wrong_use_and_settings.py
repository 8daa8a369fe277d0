"""Wrong use, wrong settings, .env, and what else ends a command with an error."""

from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from local.stub_clerk.faults import Fault
from local.stub_clerk.stub import StubClerk
from tests.doors import UNREACHABLE
from tests.integration.local.cli.output import CREATED
from tests.tables import rows
from tests.terminal import (
    EVENTS,
    clerksync,
    clerksync_here,
)


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


@pytest.mark.parametrize("name", ["nofile", "nofile.toml", "some/nofile"])
def test_a_mapping_that_does_not_exist_is_named(
    tmp_path: Path, settings: dict[str, str], name: str
) -> None:
    """On the terminal; a log would not show the value of a setting."""
    done = clerksync_here(
        "status", cwd=tmp_path, **settings | {"CLERKSYNC_MAPPING": name}
    )
    assert done.returncode == 1
    assert f"There is no mapping {name}. CLERKSYNC_MAPPING names" in done.stderr


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
        ({"CLERKSYNC_WORKERS": "all"}, "CLERKSYNC_WORKERS must be a whole number from"),
        ({"CLERKSYNC_RATE_LIMIT": "0"}, "CLERKSYNC_RATE_LIMIT must be a whole number"),
    ],
    ids=[
        "no key",
        "no database",
        "unreachable",
        "no URL",
        "ratio",
        "delete mode",
        "workers",
        "rate limit",
    ],
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


@pytest.mark.alters_schema
def test_what_the_role_must_not_use_is_named(
    tmp_path: Path, settings: dict[str, str], connection: psycopg.Connection
) -> None:
    """Postgres itself says it, and quotes no data."""
    role = f"clerksync_test_denied_{connection.info.backend_pid}"
    connection.execute(f"CREATE ROLE {role} LOGIN".encode())
    try:
        url = make_conninfo(settings["DATABASE_URL"], user=role)
        done = clerksync_here("sync", cwd=tmp_path, **settings | {"DATABASE_URL": url})
    finally:
        connection.execute(f"DROP ROLE {role}".encode())
    assert done.returncode == 1
    assert "Postgres refused: permission denied for table sync_run" in done.stderr
    assert "Grant it to the role in DATABASE_URL." in done.stderr


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
