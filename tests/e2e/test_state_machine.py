"""A stack whose schedule starts the state machine, for an instance of three windows."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from local.stub_clerk.faults import Fault, StubRequest
from local.stub_clerk.stub import StubClerk
from tests.e2e.cloud import Cloud
from tests.e2e.conftest import Keep, wait_until
from tests.e2e.stack import Stack
from tests.people import shown

SCHEMA = "by_state_machine"


@pytest.fixture(scope="module")
def many() -> Iterator[StubClerk]:
    with StubClerk(users=45_000, environment_type="production") as stub:
        yield stub


@pytest.fixture(scope="module")
def machine(cloud: Cloud, keep_secret: Keep, many: StubClerk) -> Iterator[Stack]:
    keep_secret(
        SCHEMA,
        CLERK_API_URL=many.url,
        CLERK_SECRET_KEY=many.secret_key,
        CLERK_ISSUER=many.issuer,
    )
    stack = Stack(cloud, "clerksync-machine")
    stack.deploy(
        SecretId=SCHEMA,
        Schema=SCHEMA,
        BulkSyncEngine="StepFunctions",
        BulkSyncConcurrency="2",
        SyncSchedule="rate(1 minute)",
    )
    yield stack
    stack.delete()


def ids(connection: psycopg.Connection) -> set[str]:
    query = sql.SQL("SELECT id FROM {}").format(sql.Identifier(SCHEMA, "users"))
    return {clerk_id for (clerk_id,) in connection.execute(query)}


def reports(connection: psycopg.Connection) -> list[dict[str, Any]]:
    query = sql.SQL(
        "SELECT report FROM {} WHERE report IS NOT NULL ORDER BY started_at"
    )
    runs = sql.Identifier(SCHEMA, "sync_runs")
    return [report for (report,) in connection.execute(query.format(runs))]


def run(machine: Stack, request: dict[str, Any]) -> dict[str, Any]:
    """Start the state machine by hand, and wait until it has ended."""
    states = machine.cloud.client("stepfunctions")
    started = states.start_execution(
        stateMachineArn=machine.output("BulkSyncStateMachineArn"),
        input=json.dumps(request),
    )

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = states.describe_execution(
            executionArn=started["executionArn"]
        )
        return None if found["status"] == "RUNNING" else found

    execution: dict[str, Any] = wait_until("the state machine ends", ended)
    return execution


def test_the_schedule_starts_the_state_machine(
    machine: Stack, many: StubClerk, connection: psycopg.Connection
) -> None:
    """Three windows, one report, and every user of Clerk's in the table."""
    (report,) = wait_until("the scheduled run ends", lambda: reports(connection))
    assert report["status"] == "completed"
    assert report["fetched"] == 45_000
    assert report["windows"] >= 3
    assert ids(connection) == shown(many)
    machine.stop_schedules()


def test_a_failed_window_leaves_the_run_partial(
    machine: Stack, many: StubClerk, connection: psycopg.Connection
) -> None:
    """The others are walked to their end, and nobody is deleted."""
    orphan = min(shown(many))
    many.delete_user(orphan, notify=False)

    def refuse_later_windows(request: StubRequest) -> Fault | None:
        later = "created_at_after" in request.query and request.path == "/v1/users"
        return Fault(status=403) if later else None

    many.interfere = refuse_later_windows
    execution = run(machine, {"mode": "full"})
    many.reset_faults()
    report = json.loads(execution["output"])
    assert (execution["status"], report["status"]) == ("SUCCEEDED", "partial")
    assert report["fetched"] > 0
    assert orphan in ids(connection)


def test_the_next_run_sweeps_the_orphan(
    machine: Stack, many: StubClerk, connection: psycopg.Connection
) -> None:
    """What the state machine answers is what the ledger keeps."""
    execution = run(machine, {})
    report = json.loads(execution["output"])
    assert (report["status"], report["deleted"]) == ("completed", 1)
    assert report == reports(connection)[-1]
    assert ids(connection) == shown(many)


def test_a_run_that_failed_fails_the_execution(machine: Stack, many: StubClerk) -> None:
    """With the reason, and it lands in the failure queue."""
    many.interfere = lambda _: Fault(status=401)
    execution = run(machine, {"mode": "cleanup"})
    many.reset_faults()
    assert execution["status"] == "FAILED"
    assert execution["error"] == "BulkSync.failed"
    assert "does not accept CLERK_SECRET_KEY" in execution["cause"]
    (message,) = wait_until("a failed run is in the queue", machine.failures)
    assert message["requestPayload"] == {"mode": "cleanup"}
    assert message["responsePayload"]["errorMessage"] == execution["cause"]


def test_a_step_that_raises_fails_the_execution(machine: Stack) -> None:
    """It cannot be planned: what the function says of it is in the queue as well."""
    execution = run(machine, {"mode": "incremental"})
    assert execution["status"] == "FAILED"
    assert "full and cleanup" in execution["cause"]
    (message,) = wait_until("it is in the queue", machine.failures)
    assert message["requestPayload"] == {"mode": "incremental"}
