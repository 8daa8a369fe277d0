"""What the webhook does, and answers, for each event: the sample events too."""

import json
from typing import Any

import psycopg
import pytest

from functions.webhook import app
from tests.doors import (
    Answer,
    ask,
    sample,
    untouched,
)
from tests.integration.functions.webhook.door import Door, action
from tests.people import user_id, user_json
from tests.tables import rows


def test_a_new_user_is_created(door: Door, connection: psycopg.Connection) -> None:
    """Answered `created`, the row, its rate limit and the version are there."""
    assert action(door.created()) == "created"
    row = rows(connection)[user_id(1)]
    assert (row["email"], row["name"], row["tier"]) == (
        "user1@example.com",
        "Noor Castell",
        "FREE",
    )
    assert list(rows(connection, "rate_limits")) == [user_id(1)]
    assert list(rows(connection, "sync_state")) == [user_id(1)]


@pytest.mark.usefixtures("known")
def test_a_change_is_applied(door: Door, connection: psycopg.Connection) -> None:
    """Answered `updated`, the row has what is new."""
    assert action(door.updated(last_name="Ibarra")) == "updated"
    assert rows(connection)[user_id(1)]["name"] == "Noor Ibarra"


def test_an_update_of_an_unknown_user_creates_it(door: Door) -> None:
    """The update may overtake the creation."""
    assert action(door.updated()) == "created"


def test_a_creation_of_a_known_user_updates_it(door: Door) -> None:
    """Self-sync may have been there before the first webhook."""
    door.created()
    newer = user_json(version=5, last_name="Ibarra")
    assert action(door.send("user.created", newer)) == "updated"


@pytest.mark.usefixtures("known")
def test_a_delivery_that_comes_twice_is_written_once(
    door: Door, connection: psycopg.Connection, event: dict[str, Any]
) -> None:
    """The same message again answers `unchanged`, and neither writes nor locks."""
    body = json.dumps(event).encode()
    headers = door.clerk.sign(body, "msg_twice")
    assert action(door.post(body, headers)) == "updated"
    with untouched(connection):
        assert action(door.post(body, headers)) == "unchanged"


@pytest.mark.usefixtures("known")
def test_a_late_delivery_changes_nothing(
    door: Door, connection: psycopg.Connection
) -> None:
    """An older version after a newer one answers `unchanged`."""
    door.updated(version=10, last_name="Ibarra")
    with untouched(connection):
        assert action(door.updated(version=9, last_name="Old")) == "unchanged"


@pytest.mark.usefixtures("known")
def test_a_deletion_removes_the_row_and_keeps_it_away(
    door: Door, connection: psycopg.Connection
) -> None:
    """After `deleted`, no webhook of whatever version revives the user."""
    assert action(door.deleted()) == "deleted"
    assert rows(connection) == {}
    assert rows(connection, "rate_limits") == {}
    with untouched(connection):
        assert action(door.updated(version=10**9)) == "skipped"
    assert rows(connection) == {}


def test_the_deletion_of_an_unknown_user_keeps_it_away(
    door: Door, connection: psycopg.Connection
) -> None:
    """A deletion that overtakes the creation answers `deleted` and wins."""
    assert action(door.deleted()) == "deleted"
    assert action(door.created()) == "skipped"
    assert rows(connection) == {}


@pytest.mark.parametrize("id_", [{}, {"id": None}], ids=["missing", "null"])
@pytest.mark.usefixtures("known")
def test_a_deletion_without_an_id_is_ignored(
    door: Door, connection: psycopg.Connection, id_: dict[str, None]
) -> None:
    """Clerk's schema allows it, and there is nobody to delete."""
    data = {"object": "user", "deleted": True} | id_
    with untouched(connection):
        answer = door.deliver({"type": "user.deleted", "data": data})
    assert action(answer) == "ignored"


def test_a_user_without_an_email_is_skipped(
    door: Door, connection: psycopg.Connection
) -> None:
    """By default a row needs an email to come to be."""
    assert action(door.created(email=None)) == "skipped"
    assert rows(connection) == {}


@pytest.mark.usefixtures("known")
def test_a_user_that_loses_its_email_keeps_its_row(
    door: Door, connection: psycopg.Connection
) -> None:
    """Only creation asks for an email."""
    assert action(door.updated(email=None)) == "updated"
    assert rows(connection)[user_id(1)]["email"] is None


@pytest.mark.parametrize(
    "type_",
    ["session.created", "organization.updated", "email.created", "user.invented", ""],
)
@pytest.mark.parametrize("data", [{"id": user_id(1)}, None, []], ids=repr)
def test_an_event_of_another_type_is_ignored(
    door: Door, connection: psycopg.Connection, type_: str, data: Any
) -> None:
    """Types that are not about users, or not known yet, are a 200, whatever is in."""
    with untouched(connection):
        assert action(door.deliver({"type": type_, "data": data})) == "ignored"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("user_created", "created"),
        ("user_created_phone_only", "skipped"),
        ("user_updated", "updated"),
        ("user_deleted", "deleted"),
        ("organization_created", "ignored"),
    ],
)
def test_the_sample_events_do_what_their_names_say(
    door: Door, name: str, expected: str
) -> None:
    """As they are, but for a signature of now; a change needs somebody to be there."""
    if name == "user_updated":
        deliver_sample(door, "user_created")
    assert action(deliver_sample(door, name)) == expected


def deliver_sample(door: Door, name: str) -> Answer:
    event = sample(name)
    event["headers"] |= door.clerk.sign(event["body"].encode())
    return ask(app, event)
