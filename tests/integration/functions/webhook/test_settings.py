"""Settings of the webhook that reach the write path, and its secrets."""

import json
from typing import Any

import psycopg
import pytest

from tests.doors import (
    untouched,
)
from tests.integration.functions.webhook.door import OTHER_SECRET, Door, action
from tests.people import EPOCH_MS, user_id, user_json
from tests.tables import rows


def test_without_the_need_for_an_email_anybody_gets_a_row(
    door: Door, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user without email, names and anything else is created all the same."""
    monkeypatch.setenv("CLERKSYNC_REQUIRE_EMAIL", "false")
    bare = {"id": user_id(1), "updated_at": EPOCH_MS}
    assert action(door.send("user.created", bare)) == "created"
    row = rows(connection)[user_id(1)]
    assert [row[name] for name in ("email", "name", "username", "banned")] == [None] * 4
    assert row["public_metadata"] == {}


@pytest.mark.usefixtures("known")
def test_soft_deletion_empties_the_row_and_keeps_it(
    door: Door, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In soft mode the row stays, dated, and without personal data."""
    monkeypatch.setenv("CLERKSYNC_DELETE_MODE", "soft")
    assert action(door.deleted()) == "deleted"
    row = rows(connection)[user_id(1)]
    assert row["deleted_at"] is not None
    assert (row["email"], row["name"]) == (None, None)


@pytest.mark.parametrize(
    ("settings", "tier"),
    [
        ({"CLERKSYNC_DEFAULT_TIER": "TRIAL"}, "TRIAL"),
        ({"CLERKSYNC_TIER_METADATA_KEY": "plan"}, "GOLD"),
        ({"CLERKSYNC_TIER_METADATA_KEY": "absent"}, "FREE"),
    ],
    ids=["default", "from metadata", "not in metadata"],
)
def test_the_tier_of_a_new_user_is_configurable(
    door: Door,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, str],
    tier: str,
) -> None:
    """A default, and a metadata key that overrides it."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    door.created(public_metadata={"plan": "GOLD"})
    assert rows(connection)[user_id(1)]["tier"] == tier


@pytest.mark.usefixtures("known")
def test_an_event_of_another_instance_is_refused(
    door: Door,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    event: dict[str, Any],
) -> None:
    """Where an instance is set, events of another or of none are a 400."""
    monkeypatch.setenv("CLERKSYNC_INSTANCE_ID", "ins_other")
    without = {name: value for name, value in event.items() if name != "instance_id"}
    with untouched(connection):
        for refused in (event, without, event | {"type": "session.created"}):
            answer = door.deliver(refused)
            assert answer.status == 400
            assert "CLERKSYNC_INSTANCE_ID" in answer.error
    monkeypatch.setenv("CLERKSYNC_INSTANCE_ID", door.clerk.instance_id)
    assert action(door.deliver(event)) == "updated"


# Secrets.


@pytest.mark.parametrize(
    "name", ["CLERK_WEBHOOK_SIGNING_SECRET", "CLERK_WEBHOOK_SECRET"]
)
def test_the_secret_has_two_names(
    door: Door, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Much of the world still uses the older one."""
    monkeypatch.delenv("CLERK_WEBHOOK_SIGNING_SECRET")
    monkeypatch.setenv(name, door.clerk.webhook_signing_secret)
    assert action(door.created()) == "created"


def test_the_newer_name_of_the_secret_wins(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret under the older name is not accepted beside one under the newer."""
    monkeypatch.setenv("CLERK_WEBHOOK_SECRET", door.clerk.webhook_signing_secret)
    monkeypatch.setenv("CLERK_WEBHOOK_SIGNING_SECRET", OTHER_SECRET)
    assert door.created().status == 400


@pytest.mark.parametrize("place", ["first", "last"])
def test_during_a_rotation_either_secret_signs(
    door: Door, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Several secrets stand in one setting, separated by any white space."""
    secrets = [door.clerk.webhook_signing_secret, OTHER_SECRET]
    text = " \n".join(secrets if place == "first" else reversed(secrets))
    monkeypatch.setenv("CLERK_WEBHOOK_SIGNING_SECRET", text)
    assert action(door.created()) == "created"


def test_without_a_secret_nothing_is_accepted(
    door: Door, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is a 500 that names the setting: the sender tries again."""
    monkeypatch.setenv("CLERK_WEBHOOK_SIGNING_SECRET", "")
    with untouched(connection):
        answer = door.created()
    assert answer.status == 500
    assert "CLERK_WEBHOOK_SIGNING_SECRET" in answer.error


@pytest.mark.parametrize("secret", ["whsec_", "whsec_%", "a", "whsec_é"])
def test_a_secret_that_is_none_is_named_and_not_shown(
    door: Door,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
    secret: str,
) -> None:
    """A setting that nothing could be signed with is the operator's error: a 500."""
    monkeypatch.setenv("CLERK_WEBHOOK_SIGNING_SECRET", secret)
    body = json.dumps(door.clerk.event("user.created", user_json())).encode()
    with untouched(connection):
        answer = door.post(body, door.clerk.sign(body))
    assert answer.status == 500
    assert "CLERK_WEBHOOK_SIGNING_SECRET" in answer.error
