"""Runs whose report nobody reads: they raise, for the failure queue to keep them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from functions.bulk_sync import app
from local.stub_clerk.stub import StubClerk
from tests.doors import log_lines, sample

UNATTENDED = [sample("scheduled"), {"unattended": True}]


@pytest.fixture(autouse=True)
def closed(environment: pytest.MonkeyPatch, stub: StubClerk) -> Iterator[None]:
    """The function as deployed, asking the stub."""
    environment.setenv("CLERK_API_URL", stub.url)
    environment.setenv("CLERK_SECRET_KEY", stub.secret_key)
    yield
    app.database.close()


@pytest.mark.parametrize("event", UNATTENDED, ids=["scheduled", "by hand"])
def test_a_failed_run_raises_after_its_report(
    environment: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    event: dict[str, Any],
) -> None:
    """Lambda knows by that alone that it failed."""
    environment.setenv("CLERK_SECRET_KEY", "sk_wrong")
    with pytest.raises(app.BulkSyncFailedError) as raised:
        app.handler(event, None)
    output = capsys.readouterr().out
    (line,) = log_lines(output, "bulk sync ended")
    assert line["report"]["status"] == "failed"
    assert str(raised.value) == f"Run {line['run_id']}: {line['report']['reason']}"
    assert '"BulkSyncRunFailed"' in output


def test_every_line_of_a_run_has_its_id(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its metrics too, whether it failed or not, and no line of the next one."""
    for key in (None, "sk_wrong"):
        if key is not None:
            environment.setenv("CLERK_SECRET_KEY", key)
        report = app.handler({}, None)
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert len(lines) >= 2
        assert {line["run_id"] for line in lines} == {report["run_id"]}


def test_a_refused_run_raises(stub: StubClerk, environment: pytest.MonkeyPatch) -> None:
    """Somebody has to decide."""
    app.handler({"unattended": True}, None)
    environment.setenv("CLERKSYNC_MAX_ORPHAN_RATIO", "0")
    for clerk_id in stub.ids()[:2]:
        stub.delete_user(clerk_id)
    with pytest.raises(app.BulkSyncFailedError, match="force"):
        app.handler(sample("scheduled"), None)
    assert app.handler({}, None)["status"] == "refused"


@pytest.mark.parametrize("event", UNATTENDED, ids=["scheduled", "by hand"])
def test_a_completed_run_returns_its_report(event: dict[str, Any]) -> None:
    """For nobody, but it is no failure."""
    assert app.handler(event, None)["status"] == "completed"


def test_a_failed_run_returns_its_report_to_who_waits_for_it(
    environment: pytest.MonkeyPatch,
) -> None:
    """An exception would hide it."""
    environment.setenv("CLERK_SECRET_KEY", "sk_wrong")
    assert app.handler({"mode": "cleanup"}, None)["status"] == "failed"
