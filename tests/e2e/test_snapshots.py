"""A stack with SnapStart that makes its own secret: what the API asks is a version, and
every change reaches it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from psycopg import sql

from local.stub_clerk.stub import StubClerk
from tests.e2e.cloud import Cloud
from tests.e2e.stack import Stack, copied_build

SCHEMA: Final = "snapshots"


@pytest.fixture(scope="module")
def parameters(database_url: str, clerk: StubClerk) -> dict[str, Any]:
    """Changed by the tests that deploy."""
    return {
        "DatabaseUrl": database_url,
        "ClerkSecretKey": clerk.secret_key,
        "ClerkWebhookSigningSecret": clerk.webhook_signing_secret,
        "Schema": SCHEMA,
        "SnapStart": "PublishedVersions",
    }


@pytest.fixture(scope="module")
def snapshots(cloud: Cloud, parameters: dict[str, Any]) -> Iterator[Stack]:
    stack = Stack(cloud, "clerksync-snapshots")
    stack.deploy(**parameters)
    stack.route()
    yield stack
    if stack.exists():
        stack.delete()


def deliver(stack: Stack, clerk: StubClerk, email: str) -> tuple[int, Any]:
    """Of a new user, whom Clerk tells by webhook."""
    user = clerk.create_user(email=email, notify=False)
    body = json.dumps(clerk.event("user.created", dict(user))).encode()
    return stack.call(
        "POST", "/api/webhooks/clerk", body=body, headers=clerk.sign(body)
    )


def users(connection: psycopg.Connection) -> list[tuple[str, str]]:
    query = sql.SQL("SELECT email, tier FROM {} ORDER BY created_at")
    table = sql.Identifier(SCHEMA, "users")
    return connection.execute(query.format(table)).fetchall()


def test_the_first_version_is_asked_and_knows_the_secret(
    snapshots: Stack, clerk: StubClerk, connection: psycopg.Connection
) -> None:
    """Which the stack has made of three parameters."""
    assert snapshots.versions() == {"WebhookFunction": 1, "SelfSyncFunction": 1}
    assert deliver(snapshots, clerk, "first@example.com")[0] == 200
    assert users(connection) == [("first@example.com", "FREE")]


def test_a_parameter_alone_publishes(
    snapshots: Stack,
    parameters: dict[str, Any],
    clerk: StubClerk,
    connection: psycopg.Connection,
) -> None:
    """Both functions have it, and the next request goes by it."""
    parameters["DefaultTier"] = "PRO"
    snapshots.deploy(**parameters)
    assert snapshots.versions() == {"WebhookFunction": 2, "SelfSyncFunction": 2}
    assert deliver(snapshots, clerk, "second@example.com")[0] == 200
    assert users(connection)[1:] == [("second@example.com", "PRO")]


def test_code_alone_publishes(
    snapshots: Stack, parameters: dict[str, Any], clerk: StubClerk, tmp_path: Path
) -> None:
    """Only the function that it is of; and what no function is made with publishes
    nothing, or Lambda would refuse it, and the deployment fail."""
    parameters["LogRetentionDays"] = "7"
    build = copied_build(tmp_path)
    code = build / "WebhookFunction" / "app.py"
    text = code.read_text("utf-8")
    assert '"success": True' in text
    code.write_text(text.replace('"success": True', '"success": "indeed"'), "utf-8")
    shutil.rmtree(code.with_name("__pycache__"))
    snapshots.deploy(build=build, **parameters)
    assert snapshots.versions() == {"WebhookFunction": 3, "SelfSyncFunction": 2}
    status, answer = deliver(snapshots, clerk, "third@example.com")
    assert (status, answer["success"]) == (200, "indeed")


def test_the_secret_goes_with_the_stack_and_the_data_stays(
    snapshots: Stack, cloud: Cloud, clerk: StubClerk, connection: psycopg.Connection
) -> None:
    """Until then nobody reads a parameter off it that is not shown."""
    said = snapshots.said()
    for secret in (clerk.secret_key, clerk.webhook_signing_secret):
        assert secret not in said
    snapshots.delete()
    kept = cloud.client("secretsmanager").list_secrets()["SecretList"]
    assert not [s for s in kept if s["Name"].startswith("Secret-")]
    assert len(users(connection)) == 3
