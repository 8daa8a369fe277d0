"""sign: fresh signatures for events."""

import json
import subprocess
from pathlib import Path

import psycopg
from svix.webhooks import Webhook

from local.stub_clerk.stub import StubClerk
from tests.integration.local.cli.output import CREATED, MIRA, answered
from tests.tables import rows
from tests.terminal import (
    COMMAND,
    EVENTS,
    clean_environment,
    clerksync_here,
)


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
