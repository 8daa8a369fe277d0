"""`clerksync dev`: what it prints works when pasted, and all of it ends with it."""

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import urllib3

from local.stub_clerk.stub import StubClerk
from tests.tables import rows
from tests.terminal import (
    Running,
    clean_environment,
    clerksync,
    clerksync_here,
    eventually,
    leaving_nothing,
    listens,
    servers_in,
)

READY = "Ctrl-C ends it."
PATH = clean_environment()["PATH"]


class Dev:
    """A stack that is up, and what it printed."""

    def __init__(self, folder: Path, printed: str) -> None:
        self.folder = folder
        self.printed = printed
        self.port = int(self.told("page").rpartition(":")[2])

    def told(self, label: str) -> str:
        """What stands behind a label, as `webhooks   http://…`."""
        lines = [line.strip() for line in self.printed.splitlines()]
        (value,) = (e[len(label) :] for e in lines if e.startswith(f"{label}  "))
        return value.strip()

    def pasted(self, heading: str) -> str:
        """Run the command that is printed under a heading, in a shell of its own."""
        for program in ("curl", "openssl"):
            if shutil.which(program, path=PATH) is None:
                pytest.skip(f"{program} is not on this machine")
        _, _, below = self.printed.partition(heading)
        _, _, below = below.partition("\n")
        command, _, _ = below.strip().partition("\n\n")
        done = subprocess.run(  # noqa: S603 - what a person would paste
            ["/bin/bash", "-euo", "pipefail", "-c", command],
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (command, done.stderr)
        return done.stdout


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    folder = tmp_path_factory.mktemp("dev")
    with Running("dev", cwd=folder, PORT="0") as running:
        yield Dev(folder, running.wait_for(READY))
    shutil.rmtree(folder / ".clerksync")


@pytest.fixture
def table(dev: Dev) -> Iterator[psycopg.Connection]:
    """The database that is printed, as a person would look into it."""
    with psycopg.connect(dev.told("database"), autocommit=True) as connection:
        yield connection


def test_it_prints_what_a_person_needs_next(dev: Dev) -> None:
    """Plain text in a pipe: routes, the stub, its secrets, and a full table."""
    assert "\x1b" not in dev.printed
    gateway = f"http://127.0.0.1:{dev.port}"
    assert dev.told("page") == gateway
    assert dev.told("webhooks") == f"{gateway}/api/webhooks/clerk"
    assert dev.told("self-sync") == f"{gateway}/api/users/sync"
    assert dev.told("own row") == f"{gateway}/api/users/me"
    assert dev.told("signing secret").startswith("whsec_")
    assert "sk_test_" in dev.told("stub Clerk")
    assert "completed (full)" in dev.printed


def test_the_page_that_is_printed_is_served(dev: Dev) -> None:
    """With what it shows, and with its actions."""
    answer = urllib3.request("GET", dev.told("page"), timeout=60)
    assert answer.headers["content-type"].startswith("text/html")
    assert b"<h1>clerksync</h1>" in answer.data
    state = urllib3.request("GET", f"{dev.told('page')}/page/state", timeout=60)
    assert state.json()["counts"]["clerk"] >= 1_000
    assert state.json()["stub"] is True


def test_a_sign_up_at_the_stub_arrives_as_a_webhook(
    dev: Dev, table: psycopg.Connection
) -> None:
    """The printed command, pasted, ends as a row."""
    user = json.loads(dev.pasted("Sign a user up at the stub"))
    assert user["id"].startswith("user_")
    assert eventually(lambda: user["id"] in rows(table))
    assert rows(table)[user["id"]]["email"] == "new@example.com"


def test_users_that_are_seeded_arrive_as_webhooks(
    dev: Dev, table: psycopg.Connection
) -> None:
    """From another terminal, in the same folder."""
    done = clerksync_here("seed", "--users", "4", "--seed", "7", cwd=dev.folder)
    assert done.stdout.splitlines()[-1] == "4 users made."
    emails = {f"seed7-user{n}+clerk_test@example.com" for n in range(4)}
    assert eventually(lambda: emails <= {row["email"] for row in rows(table).values()})


def test_a_webhook_that_is_signed_in_the_shell_is_taken(
    dev: Dev, table: psycopg.Connection
) -> None:
    """It renames a user; pasted again, there is nothing left to do."""
    for action in ("updated", "unchanged"):
        answer = json.loads(dev.pasted("Post a signed webhook yourself"))
        assert answer == {"success": True, "action": action}
    names = [row["first_name"] for row in rows(table).values()]
    assert names.count("Posted") == 1


def test_a_self_sync_from_the_shell_gives_the_row(dev: Dev) -> None:
    """With a real session token, which lasts a day."""
    answer = json.loads(dev.pasted("Sync a user as a browser would"))
    assert answer["success"] is True
    assert answer["user"]["id"].startswith("user_")


def test_another_command_in_the_folder_finds_the_stack(
    dev: Dev, table: psycopg.Connection
) -> None:
    """And acts on the same Clerk and the same table."""
    before = len(rows(table))
    sync = clerksync("sync", cwd=dev.folder)
    assert sync.returncode == 0, sync.stderr
    assert "of clerksync dev" in sync.stderr
    assert ["created", "0"] in [line.split() for line in sync.stdout.splitlines()]
    assert len(rows(table)) == before


def test_a_second_one_in_the_folder_is_refused(dev: Dev) -> None:
    """The first goes on."""
    second = clerksync_here("dev", cwd=dev.folder, PORT="0")
    assert second.returncode == 1
    assert "already runs in this folder" in second.stderr
    assert listens(dev.port)
    assert (dev.folder / ".clerksync" / "dev.json").exists()


@pytest.mark.parametrize(
    ("port", "advice"),
    [("taken", "choose another with PORT="), ("many", "PORT must be a number")],
)
def test_a_port_that_cannot_be_had_is_refused(
    dev: Dev, tmp_path: Path, port: str, advice: str
) -> None:
    """Before anything is started; the message says what to do."""
    port = str(dev.port) if port == "taken" else port
    refused = clerksync_here("dev", cwd=tmp_path, PORT=port)
    assert refused.returncode == 1
    assert port in refused.stderr
    assert advice in refused.stderr
    assert not (tmp_path / ".clerksync").exists()


def test_a_signal_ends_all_of_it(tmp_path: Path) -> None:
    """Ports, Postgres, and what told other commands of the stack."""
    with Running("dev", cwd=tmp_path, PORT="0") as running:
        running.wait_for(READY)
        with leaving_nothing(tmp_path, running):
            assert len(running.ports()) == 2, "gateway and stub"
            assert servers_in(tmp_path)
            running.tell(signal.SIGTERM)
            assert running.wait() == 0
    assert "Traceback" not in running.output
    assert [p.name for p in (tmp_path / ".clerksync").iterdir()] == ["postgres"]
    shutil.rmtree(tmp_path / ".clerksync")


def test_with_settings_of_ones_own_nothing_stands_in(
    tmp_path: Path, database_url: str, connection: psycopg.Connection
) -> None:
    """From .env: no embedded Postgres, no stub, nothing secret on the screen; the
    routes serve that instance and that database."""
    with StubClerk(users=3) as clerk:
        (tmp_path / ".env").write_text(
            f"DATABASE_URL='{database_url}'\n"
            f"CLERK_SECRET_KEY={clerk.secret_key}\n"
            f"CLERK_API_URL={clerk.url}\n"
            f"CLERK_ISSUER={clerk.issuer}\n"
            f"CLERK_WEBHOOK_SIGNING_SECRET={clerk.webhook_signing_secret}\n"
        )
        with Running("dev", cwd=tmp_path, PORT="0") as running:
            printed = running.wait_for(READY)
            with leaving_nothing(tmp_path, running):
                (port,) = running.ports()
                clerk.webhook_url = f"http://127.0.0.1:{port}/api/webhooks/clerk"
                new = clerk.create_user(email="new@example.com")["id"]
                assert clerk.wait_for_deliveries(30)
                assert rows(connection).keys() == {new}
                known = clerk.ids()[0]
                bearer = {"authorization": f"Bearer {clerk.session_token(known)}"}
                url = f"http://127.0.0.1:{port}/api/users/sync"
                with urllib3.PoolManager(retries=False) as browser:
                    answer = browser.request("POST", url, headers=bearer)
                assert answer.status == 200, answer.data
                assert rows(connection).keys() == {new, known}
                running.tell(signal.SIGINT)
                assert running.wait() == 0
    assert not (tmp_path / ".clerksync").exists()
    assert "Serving your Clerk instance and your database" in printed
    assert f"page       http://127.0.0.1:{port}\n" in printed
    for secret in (database_url, clerk.secret_key, clerk.webhook_signing_secret):
        assert secret not in running.output


def test_what_is_missing_of_ones_own_settings_is_named(
    tmp_path: Path, database_url: str
) -> None:
    """A key without a database is not a wish for the stub; a missing signing secret
    is no reason to stop."""
    settings = {"CLERK_SECRET_KEY": "sk_test_mine", "PORT": "0"}
    refused = clerksync_here("dev", cwd=tmp_path, **settings)
    assert refused.returncode == 1
    assert "DATABASE_URL is not set" in refused.stderr
    assert "sk_test_mine" not in refused.stdout + refused.stderr
    settings |= {"DATABASE_URL": database_url}
    with Running("dev", cwd=tmp_path, **settings) as running:
        printed = running.wait_for(READY)
        assert "CLERK_WEBHOOK_SIGNING_SECRET is not set" in " ".join(printed.split())
    assert not (tmp_path / ".clerksync").exists()
