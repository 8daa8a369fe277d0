"""What `clerksync doctor` prints and how it ends, whatever it finds."""

import json
import re
from pathlib import Path

import psycopg
import pytest

from local.doctor.checks import CHECKS
from local.stub_clerk.stub import StubClerk
from tests.doors import UNREACHABLE
from tests.integration.local.doctor.examining import Doctor
from tests.terminal import clerksync, clerksync_here, clerksync_on_a_terminal

ESCAPE = "\x1b"


def test_a_healthy_setup_is_green_all_over(
    doctor: Doctor, production: StubClerk, tmp_path: Path
) -> None:
    """A live instance, all settings, a table that was filled today: nothing to mend."""
    doctor.settings |= {
        "CLERK_AUTHORIZED_PARTIES": "https://app.example.com",
        "CLERK_JWT_KEY": production.jwt_public_key,
        "CLERKSYNC_INSTANCE_ID": production.instance_id,
        "CLERKSYNC_REQUIRE_EMAIL": "false",
    }
    assert clerksync_here("sync", cwd=tmp_path, **doctor.settings).returncode == 0
    examined = doctor()
    assert [f for f in examined.findings if f["level"] != "ok"] == []
    assert examined.code == 0
    made = [check.name for check in CHECKS if check.name != "secret"]
    assert list(dict.fromkeys(f["check"] for f in examined.findings)) == made


def test_every_check_is_made_or_says_what_it_waits_for(doctor: Doctor) -> None:
    """Neither a wrong key nor a database that is away ends the examination."""
    examined = doctor(CLERK_SECRET_KEY="sk_test_wrong", DATABASE_URL=UNREACHABLE)
    assert examined.code == 1
    assert examined.wrong == {"secret key", "database"}
    assert {f["check"] for f in examined.findings} == {
        check.name for check in CHECKS if check.name != "secret"
    }
    assert examined.one("emails at Clerk") == ("skipped", "Waits for: secret key.")
    assert examined.one("TLS") == ("skipped", "Waits for: database.")
    assert examined.one("last run") == ("skipped", "Waits for: schema.")
    assert examined.level("webhook secret") == "ok"


def test_in_a_pipe_each_finding_is_one_plain_line(
    doctor: Doctor, tmp_path: Path
) -> None:
    """However long: level, check and sentence; the sum comes last."""
    done = clerksync("doctor", cwd=tmp_path, **doctor.settings)
    assert (done.returncode, ESCAPE in done.stdout) == (0, False)
    *lines, empty, summary = done.stdout.splitlines()
    assert (empty, summary.split(" ok")[1:]) == ("", [""])
    assert all(line.split()[0] in {"ok", "warning"} for line in lines)
    columns = [re.split(r" {2,}", line) for line in lines]
    assert {len(cells) for cells in columns} == {3}
    told = dict.fromkeys(name for _, name, _ in columns)
    assert list(told) == [c.name for c in CHECKS if c.name != "secret"]
    (line,) = (line for line in lines if "  last run " in line)
    assert line.startswith("warning  last run ")
    assert line.endswith("There was none: clerksync sync fills the table.")


def test_on_a_terminal_levels_have_colours_and_long_sentences_are_wrapped(
    doctor: Doctor, tmp_path: Path
) -> None:
    """Beside the name of the check, not below it."""
    settings = doctor.settings | {"CLERK_SECRET_KEY": "sk_test_wrong"}
    code, output = clerksync_on_a_terminal("doctor", cwd=tmp_path, **settings)
    assert code == 1
    assert f"{ESCAPE}[31mwrong" in output
    assert f"{ESCAPE}[32mok" in output
    assert "1 wrong, " in output.splitlines()[-1]


def test_without_settings_it_says_whom_it_has_examined(tmp_path: Path) -> None:
    """The stub and the database of its own are sound; that they are meant, is asked."""
    done = clerksync("doctor", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["ok"] is True
    (warning,) = (
        f["message"]
        for f in told["findings"]
        if (f["check"], f["level"]) == ("settings", "warning")
    )
    assert "Neither CLERK_SECRET_KEY nor DATABASE_URL is set" in warning


def test_an_examination_changes_nothing(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """No row, no table, no run in the ledger."""
    objects = "SELECT count(*), max(oid::bigint) FROM pg_class"
    before = connection.execute(objects).fetchall()
    assert doctor().code == 0
    assert connection.execute(objects).fetchall() == before
    assert connection.execute("SELECT count(*) FROM sync_runs").fetchall() == [(0,)]


@pytest.mark.usefixtures("production")
def test_a_live_instance_is_only_read(doctor: Doctor, production: StubClerk) -> None:
    """Every question to Clerk is a GET."""
    doctor()
    assert {request.method for request in production.request_log} == {"GET"}
