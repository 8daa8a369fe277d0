"""What the webhook counts: the alarms and the dashboard live on it."""

import json
import time
from typing import Any

import pytest

from tests.doors import metrics_in
from tests.integration.functions.webhook.door import Door
from tests.people import user_json


def test_a_refused_signature_is_counted_as_such(
    door: Door, event: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """An alarm tells of a wrong signing secret."""
    door.deliver(event, svix_signature="v1,AAAA")
    assert metrics_in(capsys) == {"WebhooksRejectedSignature": 1}


def test_a_malformed_payload_is_counted_as_such(
    door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    """Apart from wrong signatures: it says something about Clerk, or about us."""
    door.deliver(b'{"type": 1}')
    assert metrics_in(capsys) == {"WebhooksRejectedPayload": 1}


def test_a_missing_setting_is_counted_as_a_failure(
    door: Door, capsys: pytest.CaptureFixture[str], environment: pytest.MonkeyPatch
) -> None:
    """The sender tries again."""
    environment.delenv("CLERK_WEBHOOK_SIGNING_SECRET")
    door.created()
    assert metrics_in(capsys) == {"WebhooksFailed": 1}


def test_an_unreachable_database_is_counted(
    door: Door, capsys: pytest.CaptureFixture[str], environment: pytest.MonkeyPatch
) -> None:
    """As a failure, and as one of the database."""
    environment.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/none")
    door.created()
    assert metrics_in(capsys) == {"WebhooksFailed": 1, "DatabaseErrors": 1}


@pytest.mark.parametrize("unit", [1, 1000], ids=["seconds", "milliseconds"])
def test_the_lag_is_from_event_to_commit(
    door: Door, capsys: pytest.CaptureFixture[str], unit: int
) -> None:
    """In milliseconds, by the time that Clerk gave the event, in either unit."""
    event = door.clerk.event("user.created", user_json())
    event["timestamp"] = int(time.time() - 60) * unit
    door.deliver(event)
    lag = metrics_in(capsys)["SyncLag"]
    assert 59_000 <= lag < 120_000


@pytest.mark.parametrize("timestamp", [None, "soon", True, 1.5, 1 << 62])
def test_an_odd_timestamp_costs_no_delivery(
    door: Door, capsys: pytest.CaptureFixture[str], timestamp: Any
) -> None:
    """The lag is then not told, or none."""
    event = door.clerk.event("user.created", user_json())
    event["timestamp"] = timestamp
    assert door.deliver(json.dumps(event).encode()).status == 200
    assert metrics_in(capsys).get("SyncLag", 0) == 0


def test_an_email_that_changes_hands_is_counted(
    door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    """One user is now without the email that another has the newer claim to."""
    door.created(1, email="one@example.com")
    assert "EmailConflicts" in (before := metrics_in(capsys))
    assert before["EmailConflicts"] == 0
    door.created(2, version=5, email="one@example.com")
    assert metrics_in(capsys)["EmailConflicts"] == 1
