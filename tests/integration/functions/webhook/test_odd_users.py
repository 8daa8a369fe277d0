"""Users that are odd and well-formed, and are stored."""

import os
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from tests.integration.functions.webhook.door import Door, action
from tests.people import EPOCH_MS, user_id, user_json
from tests.tables import rows


def test_nul_characters_are_left_out(
    door: Door, connection: psycopg.Connection
) -> None:
    """Legal in JSON, impossible in Postgres: the user is stored without them."""
    answer = door.created(
        first_name="No\0or\0",
        last_name="\0",
        username="back\\slash\\u0000",
        public_metadata={"pl\0an": ["\0gold", {"\0": 1}], "kept": "\\\0\\u0000"},
    )
    assert action(answer) == "created"
    row = rows(connection)[user_id(1)]
    assert (row["first_name"], row["name"]) == ("Noor", "Noor")
    assert row["username"] == "back\\slash\\u0000"
    assert row["public_metadata"] == {
        "plan": ["gold", {"": 1}],
        "kept": "\\\\u0000",
    }


def test_a_megabyte_of_metadata_is_stored(
    door: Door, connection: psycopg.Connection
) -> None:
    """Large is not malformed."""
    metadata = {"notes": os.urandom(512 * 1024).hex()}
    assert action(door.created(public_metadata=metadata)) == "created"
    assert rows(connection)[user_id(1)]["public_metadata"] == metadata


def test_a_long_name_is_stored(door: Door, connection: psycopg.Connection) -> None:
    """No column cuts off."""
    assert action(door.created(first_name="N" * 10_000, last_name=None)) == "created"
    assert rows(connection)[user_id(1)]["name"] == "N" * 10_000


def test_nested_metadata_is_stored(door: Door, connection: psycopg.Connection) -> None:
    """Depth as people use it is no attack."""
    metadata: dict[str, Any] = {}
    for _ in range(50):
        metadata = {"in": [metadata]}
    assert action(door.created(public_metadata=metadata)) == "created"
    assert rows(connection)[user_id(1)]["public_metadata"] == metadata


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"first_name": None, "last_name": None}, "user1"),
        ({"first_name": None, "last_name": None, "username": "nc"}, "nc"),
        ({"first_name": "", "last_name": "Castell", "username": "nc"}, "Castell"),
    ],
    ids=["email only", "username", "last name only"],
)
def test_a_user_without_names_gets_one(
    door: Door, connection: psycopg.Connection, fields: dict[str, Any], name: str
) -> None:
    """What is shown to others is the best that there is."""
    assert action(door.created(**fields)) == "created"
    assert rows(connection)[user_id(1)]["name"] == name


@pytest.mark.parametrize("unit", [1, 1000], ids=["milliseconds", "seconds"])
def test_times_are_read_by_their_magnitude(
    door: Door, connection: psycopg.Connection, unit: int
) -> None:
    """Some of Clerk's own examples show seconds."""
    at = EPOCH_MS // unit
    assert action(door.created(created_at=at, updated_at=at)) == "created"
    moment = datetime.fromtimestamp(EPOCH_MS / 1000, UTC)
    assert rows(connection)[user_id(1)]["clerk_created_at"] == moment
    state = rows(connection, "sync_state")[user_id(1)]
    assert state["clerk_updated_at"] == moment


def test_an_update_in_milliseconds_beats_an_older_one_in_seconds(door: Door) -> None:
    """Units do not decide which of two versions is newer."""
    assert action(door.created(updated_at=EPOCH_MS // 1000)) == "created"
    assert action(door.updated(version=1, last_name="Ibarra")) == "updated"
    late = user_json(last_name="Old", updated_at=EPOCH_MS // 1000)
    assert action(door.send("user.updated", late)) == "unchanged"


@pytest.mark.parametrize(
    "created_at",
    [datetime(1, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, 23, tzinfo=UTC)],
    ids=["the year 1", "1969"],
)
def test_a_user_from_before_1970_is_stored(
    door: Door, connection: psycopg.Connection, created_at: datetime
) -> None:
    """Postgres can hold the time, so the row has it."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    ms = round((created_at - epoch).total_seconds() * 1000)
    assert action(door.created(created_at=ms)) == "created"
    assert rows(connection)[user_id(1)]["clerk_created_at"] == created_at


@pytest.mark.usefixtures("known")
def test_odd_values_that_nobody_needs_do_not_keep_an_update_out(
    door: Door, connection: psycopg.Connection
) -> None:
    """Nothing but the primary email and the mapped fields counts."""
    odd = user_json(1, version=2, first_name="Nora", locale=["de"], external_id=17)
    odd["email_addresses"].insert(0, {"id": None, "email_address": "n@example.com"})
    odd["phone_numbers"].append({"id": "idn_phone", "phone_number": None})
    odd |= {"last_sign_in_at": -1, "unsafe_metadata": "odd", "banned": None}
    assert action(door.send("user.updated", odd)) == "updated"
    row = rows(connection)[user_id(1)]
    assert (row["first_name"], row["email"]) == ("Nora", "user1@example.com")
