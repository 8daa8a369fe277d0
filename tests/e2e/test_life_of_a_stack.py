"""A stack from its first deployment to its end, in this order."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from local.stub_clerk.faults import Fault
from local.stub_clerk.stub import StubClerk
from tests.doors import sample
from tests.e2e.conftest import ROLE, Keep, wait_until
from tests.e2e.stack import DeploymentFailedError, Stack, copied_build
from tests.people import shown
from tests.tables import rows

TABLES = {
    "clerksync_migrations",
    "rate_limits",
    "sync_run_listed",
    "sync_runs",
    "sync_state",
    "tiers",
    "users",
}


def created(clerk: StubClerk, email: str) -> Mapping[str, Any]:
    return clerk.create_user(email=email, first_name="Noor", notify=False)


def deliver(
    stack: Stack, clerk: StubClerk, user: Mapping[str, Any], *, suffix: bytes = b""
) -> tuple[int, Any]:
    """Send the webhook that Clerk sends of a new user, with something behind it."""
    body = json.dumps(clerk.event("user.created", dict(user))).encode()
    headers = clerk.sign(body)
    return stack.call(
        "POST", "/api/webhooks/clerk", body=body + suffix, headers=headers
    )


def test_a_deployment_brings_the_schema_up(
    stack: Stack, connection: psycopg.Connection
) -> None:
    """Nobody ran anything but `sam deploy`."""
    query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    assert {name for (name,) in connection.execute(query)} == TABLES
    assert "whsec_" not in stack.output("NextStep")


def test_a_signed_webhook_becomes_a_row(
    stack: Stack, clerk: StubClerk, connection: psycopg.Connection
) -> None:
    """When the answer comes, it is there; a second time changes nothing."""
    user = created(clerk, "signed@example.com")
    assert deliver(stack, clerk, user) == (200, {"success": True, "action": "created"})
    row = rows(connection)[user["id"]]
    assert (row["email"], row["tier"]) == ("signed@example.com", "FREE")
    assert rows(connection, "rate_limits").keys() >= {user["id"]}
    assert deliver(stack, clerk, user)[1]["action"] == "unchanged"


def test_a_tampered_webhook_is_refused(
    stack: Stack, clerk: StubClerk, connection: psycopg.Connection
) -> None:
    """One byte more than what was signed."""
    user = created(clerk, "tampered@example.com")
    status, answer = deliver(stack, clerk, user, suffix=b" ")
    assert (status, list(answer)) == (400, ["error"])
    assert user["id"] not in rows(connection)


def test_a_session_token_becomes_a_row(
    stack: Stack, clerk: StubClerk, connection: psycopg.Connection
) -> None:
    """By both routes, and readable by the third; without a token by none."""
    user = created(clerk, "browser@example.com")
    headers = {"authorization": f"Bearer {clerk.session_token(user['id'])}"}
    assert stack.call("GET", "/api/users/me", headers=headers)[0] == 404
    for path in ("/api/users/sync", "/api/user/sync"):
        status, answer = stack.call("POST", path, headers=headers)
        assert (status, answer["user"]["email"]) == (200, "browser@example.com")
        assert stack.call("POST", path)[0] == 401
    assert stack.call("GET", "/api/users/me", headers=headers)[0] == 200
    assert rows(connection)[user["id"]]["email"] == "browser@example.com"


def test_a_layer_without_psycopg_fails_the_deployment(
    stack: Stack, tmp_path: Path
) -> None:
    """With its name, and with nothing left behind."""
    build = copied_build(tmp_path)
    removed = [*(build / "ClerksyncLayer" / "python").glob("psycopg*")]
    assert removed
    for folder in removed:
        shutil.rmtree(folder)
    broken = Stack(stack.cloud, "clerksync-broken-layer")
    reason = failure(broken, build, Schema="broken")
    assert "(psycopg)" in reason
    assert "ROLLBACK_COMPLETE" in reason


def test_a_migration_that_fails_leaves_the_stack_as_it_was(
    stack: Stack, clerk: StubClerk, tmp_path: Path
) -> None:
    """The update is rolled back, and what was deployed goes on."""
    build = copied_build(tmp_path, migration="CREATE TABLE users (too text);")
    reason = failure(stack, build, SyncSchedule="rate(1 minute)")
    assert "CLERKSYNC_SCHEMA" in reason
    assert "UPDATE_ROLLBACK_COMPLETE" in reason
    user = created(clerk, "rollback@example.com")
    assert deliver(stack, clerk, user)[1]["action"] == "created"


def failure(stack: Stack, build: Path, **parameters: str) -> str:
    """All that sam said of a deployment that fails, without the breaks of its table."""
    with pytest.raises(DeploymentFailedError) as raised:
        stack.deploy(build=build, SecretId="clerksync/e2e", **parameters)
    return "".join(str(raised.value).split())


def test_the_schedule_fires_and_sweeps_an_orphan(
    stack: Stack, clerk: StubClerk, connection: psycopg.Connection
) -> None:
    """Without anybody asking: users nobody told of come, one that is gone goes."""
    told = created(clerk, "orphan@example.com")
    assert deliver(stack, clerk, told)[0] == 200
    clerk.delete_user(told["id"], notify=False)
    assert told["id"] in rows(connection)
    assert rows(connection, "sync_runs") == {}, "the schedule was earlier than this"

    wait_until(
        "the schedule fires and a run completes",
        lambda: runs(connection, "completed"),
    )
    stack.stop_schedules()
    assert rows(connection).keys() == shown(clerk)
    assert stack.failures() == []


def test_a_run_that_fails_lands_in_the_failure_queue(
    stack: Stack, clerk: StubClerk, connection: psycopg.Connection
) -> None:
    """Not repeated, with what was asked for and what went wrong, and no key."""
    before = rows(connection).keys()
    clerk.interfere = lambda _: Fault(status=401)
    stack.run_bulk_sync(sample("scheduled"))
    (message,) = wait_until("a failed run is in the queue", stack.failures)
    clerk.reset_faults()
    assert message["requestPayload"] == sample("scheduled")
    failure = message["responsePayload"]
    assert "does not accept CLERK_SECRET_KEY" in failure["errorMessage"]
    assert clerk.secret_key not in json.dumps(message)
    assert len(runs(connection, "failed")) == 1
    assert rows(connection).keys() == before


def runs(connection: psycopg.Connection, status: str) -> list[dict[str, Any]]:
    """The runs in the ledger that ended so."""
    ledger = rows(connection, "sync_runs").values()
    return [run for run in ledger if run["status"] == status]


def test_functions_without_their_permission_fail_the_deployment(
    stack: Stack, tmp_path: Path
) -> None:
    """The policy lets them look at the secret, and not read it."""
    build = copied_build(tmp_path)
    template = build / "template.yaml"
    text = template.read_text("utf-8")
    for old, new in (
        ("secretsmanager:GetSecretValue", "secretsmanager:Describe*"),
        # Half of what is left of it is waited for, in case that IAM is late.
        ("Timeout: 300", "Timeout: 45"),
    ):
        assert old in text
        text = text.replace(old, new)
    template.write_text(text, "utf-8")
    broken = Stack(stack.cloud, "clerksync-broken-policy")
    reason = failure(broken, build, Schema="broken")
    assert "checkname,regionandpermission" in reason


def test_a_rotated_secret_needs_no_deployment(
    stack: Stack,
    clerk: StubClerk,
    keep_secret: Keep,
    database_url: str,
    connection: psycopg.Connection,
) -> None:
    """The role that the functions are connected as is locked out, another is named."""
    heir = f"{ROLE[:-1]}b"
    for statement in (
        sql.SQL("CREATE ROLE {heir} LOGIN IN ROLE {role}"),
        sql.SQL("ALTER ROLE {role} NOLOGIN"),
    ):
        names = {"heir": sql.Identifier(heir), "role": sql.Identifier(ROLE)}
        connection.execute(statement.format(**names))
    keep_secret("clerksync/e2e", DATABASE_URL=database_url.replace(ROLE, heir))
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'clerksync'"
    )
    user = created(clerk, "rotated@example.com")
    assert deliver(stack, clerk, user)[0] == 200
    assert user["id"] in rows(connection)
    connection.execute(
        sql.SQL("ALTER ROLE {role} LOGIN").format(role=sql.Identifier(ROLE))
    )


def test_an_update_migrates_and_counts_from_the_next_request_on(
    stack: Stack, clerk: StubClerk, connection: psycopg.Connection, tmp_path: Path
) -> None:
    """The API stays where it is, and so do the rows that were there. By a layer and a
    parameter, both functions have a version more, and the one before is gone."""
    url, before = stack.output("WebhookUrl"), rows(connection).keys()
    versions = stack.versions()
    stack.deploy(
        build=copied_build(tmp_path, migration="CREATE TABLE next (id text);"),
        SecretId="clerksync/e2e",
        SyncSchedule="rate(1 hour)",
        DefaultTier="PRO",
    )
    assert stack.versions() == {name: v + 1 for name, v in versions.items()}
    assert rows(connection, "next") == {}
    assert stack.output("WebhookUrl") == url
    user = created(clerk, "updated@example.com")
    assert deliver(stack, clerk, user)[1]["action"] == "created"
    table = rows(connection)
    assert table[user["id"]]["tier"] == "PRO"
    assert table.keys() == before | {user["id"]}


def test_nobody_reads_a_secret_off_the_stack(stack: Stack, clerk: StubClerk) -> None:
    """Neither outputs, events and logs nor a function's environment has one, and the
    logs have no user's address."""
    said = stack.said()
    assert "webhook applied" in said
    for secret in (clerk.secret_key, clerk.webhook_signing_secret, "example.com"):
        assert secret not in said


def test_the_data_outlives_the_stack(
    stack: Stack, connection: psycopg.Connection
) -> None:
    """Deleting it drops no table and no row."""
    before = {table: rows(connection, table) for table in TABLES}
    assert before["users"]
    stack.delete()
    assert not stack.exists()
    assert {table: rows(connection, table) for table in TABLES} == before
