"""Tables that are unlike the presets', and what Clerk may answer about a holder."""

from collections.abc import Callable, Sequence

import psycopg
import pytest

from clerksync.clerk.retry import INTERACTIVE
from clerksync.clerk.user import ClerkUser, parse_user
from clerksync.doors.ensure_user import sync_user
from clerksync.errors import InvalidPayloadError
from clerksync.settings.clerk_client import clerk_client
from clerksync.settings.environment import Settings
from local.stub_clerk.stub import StubClerk
from tests.doors import ask_this_clerk, forget_settings
from tests.integration.mapping.people import Make, people
from tests.people import a_user, user_id, user_json

pytestmark = pytest.mark.alters_schema

UNIQUE = "clerk text UNIQUE, mail text UNIQUE NOT NULL, full_name text"
NOT_NULL = {"table": "email_not_null = true", "mapped": 'full_name = "name"'}


def answering(*known: ClerkUser) -> Callable[[Sequence[str]], list[ClerkUser]]:
    """A Clerk that knows these."""
    return lambda ids: [user for user in known if user.id in ids]


def test_an_email_that_is_not_unique_is_not_kept_back(
    table_of: Make, connection: psycopg.Connection
) -> None:
    """A row of the application may have the same: nobody is in the way."""
    users = table_of("clerk text UNIQUE, mail text", table="email_unique = false")
    users.upsert(a_user())
    connection.execute("INSERT INTO people VALUES (NULL, 'user1@example.com')")
    connection.execute("UPDATE people SET mail = NULL WHERE clerk IS NOT NULL")
    assert users.upsert(a_user()).action == "updated"
    assert people(connection)[user_id(1)] == ("user1@example.com",)


def test_a_tier_from_metadata_reaches_a_row_that_has_none(
    table_of: Make, connection: psycopg.Connection
) -> None:
    """Tables of applications let it be NULL."""
    users = table_of(
        "clerk text UNIQUE, mail text UNIQUE, tier text",
        table='tier = "tier"',
        tier_metadata_key="plan",
    )
    connection.execute("INSERT INTO people VALUES (%s)", [user_id(1)])
    assert users.upsert(a_user()).action == "updated"
    assert people(connection)[user_id(1)] == ("user1@example.com", None)
    user = a_user(version=1, public_metadata={"plan": "PRO"})
    assert users.upsert(user).action == "updated"
    assert people(connection)[user_id(1)] == ("user1@example.com", "PRO")
    assert users.upsert(user).action == "unchanged"


@pytest.mark.parametrize("value", [False, 0, [], ""])
def test_metadata_that_is_false_or_empty_is_not_nothing(
    table_of: Make, connection: psycopg.Connection, value: object
) -> None:
    """A jsonb column holds what is there."""
    users = table_of(
        "clerk text UNIQUE, mail text UNIQUE, flag jsonb",
        mapped='flag = { from = "public_metadata.flag", type = "jsonb" }',
    )
    user = a_user(public_metadata={"flag": value})
    assert users.upsert(user).action == "created"
    assert people(connection)[user_id(1)][1] == value
    assert people(connection)[user_id(1)][1] is not None
    assert users.upsert(user).action == "unchanged"


def test_who_cannot_get_an_email_gets_all_the_rest(
    table_of: Make, connection: psycopg.Connection
) -> None:
    """Its holder is gone from Clerk, and a foreign key keeps the row."""
    wants = a_user(2, version=5, email="user1@example.com", first_name="New")
    users = table_of(UNIQUE, **NOT_NULL, ask=answering(wants))
    users.upsert_many([a_user(1), a_user(2)])
    connection.execute("CREATE TABLE posts (author text REFERENCES people (clerk))")
    connection.execute("INSERT INTO posts VALUES (%s)", [user_id(1)])
    outcome = users.upsert(wants)
    assert (outcome.action, outcome.email_conflicts) == ("updated", 1)
    assert people(connection)[user_id(2)] == ("user2@example.com", "New Castell")
    new = users.upsert(a_user(3, email="user1@example.com"))
    assert (new.action, new.email_conflicts) == ("skipped", 1)
    connection.execute("DROP TABLE posts")
    assert users.upsert(wants).action == "updated"
    assert people(connection) == {user_id(2): ("user1@example.com", "New Castell")}


def test_a_key_of_another_instance_deletes_no_holder(
    table_of: Make, connection: psycopg.Connection
) -> None:
    """It knows neither the holder nor who wants the email."""
    users = table_of(UNIQUE, **NOT_NULL, ask=answering())
    users.upsert(a_user(1))
    outcome = users.upsert(a_user(2, email="user1@example.com"))
    assert (outcome.action, outcome.deleted) == ("skipped", 0)
    assert list(people(connection)) == [user_id(1)]


def test_a_user_whom_the_table_refuses_is_not_answered_for_by_the_holder(
    table_of: Make, connection: psycopg.Connection
) -> None:
    """The holder was written, the user was not: that is no success."""
    moved = a_user(1, version=3, email="moved@example.com")
    columns = f"{UNIQUE} CHECK (full_name <> 'Bad Castell')"
    users = table_of(columns, **NOT_NULL, ask=answering(moved))
    users.upsert_many([a_user(1), a_user(2)])
    bad = a_user(2, version=5, email="user1@example.com", first_name="Bad")
    with pytest.raises(InvalidPayloadError, match="refuses this user"):
        users.upsert(bad)
    assert people(connection)[user_id(2)] == ("user2@example.com", "Noor Castell")


def test_a_holder_who_is_deleted_meanwhile_costs_the_user_no_session(
    table_of: Make, clerk: StubClerk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tombstone is the holder's: the user was written."""
    forget_settings(monkeypatch)
    ask_this_clerk(monkeypatch, clerk)
    api = clerk_client(Settings(), INTERACTIVE)

    def overtaken(ids: Sequence[str]) -> list[ClerkUser]:
        found = api.users_by_id(ids)
        users.delete(ids)
        return found

    users = table_of(UNIQUE, **NOT_NULL, ask=overtaken)
    holder = clerk.create_user(email="shared@example.com", notify=False)
    users.upsert(parse_user(holder))
    clerk.update_user(holder["id"], email="other@example.com", notify=False)
    heir = clerk.create_user(email="shared@example.com", notify=False)
    _, outcome = sync_user(users, api, heir["id"])
    assert (outcome.action, outcome.tombstoned) == ("created", [holder["id"]])


def test_who_is_handed_over_and_asked_for_is_counted_once(
    table_of: Make, connection: psycopg.Connection
) -> None:
    """A swap, torn apart by a user whom the table refuses."""
    swapped = [
        a_user(1, version=2, email="user2@example.com"),
        a_user(2, version=2, email="user1@example.com"),
    ]
    columns = f"{UNIQUE} CHECK (full_name <> 'Bad Castell')"
    users = table_of(columns, **NOT_NULL, ask=answering(*swapped))
    users.upsert_many([a_user(1), a_user(2), a_user(3)])
    outcome = users.upsert_many([*swapped, a_user(3, version=2, first_name="Bad")])
    assert (outcome.updated, outcome.failed) == (2, [user_id(3)])
    assert outcome.asked == 0
    assert people(connection)[user_id(1)][0] == "user2@example.com"


@pytest.mark.parametrize(
    ("type_", "fits", "does_not"),
    [
        ("integer", 2**31 - 1, 2**31),
        ("bigint", 2**63 - 1, 2**63),
        ("numeric", 1.5, 10**400),
        ("timestamp", 1_750_000_000_000, 1_750_000_000_000_000_000),
        ("timestamp", 0, -1),
    ],
)
def test_numbers_out_of_range_count_as_nothing(
    table_of: Make,
    connection: psycopg.Connection,
    type_: str,
    fits: float,
    does_not: float,
) -> None:
    """Users write some of their metadata themselves: none of it may cost a row."""
    column = {"timestamp": "timestamptz"}.get(type_, type_)
    users = table_of(
        f"clerk text UNIQUE, mail text UNIQUE, seats {column}",
        mapped=f'seats = {{ from = "unsafe_metadata.seats", type = "{type_}" }}',
    )
    model = users.mapping.user_model
    for number, seats in enumerate((fits, does_not)):
        user = {**user_json(number), "unsafe_metadata": {"seats": seats}}
        assert users.upsert(parse_user(user, model)).action == "created"
        assert users.upsert(parse_user(user, model)).action == "unchanged"
    assert people(connection)[user_id(0)][1] is not None
    assert people(connection)[user_id(1)][1] is None


def test_a_swap_of_usernames_that_are_unique_and_deferrable(
    table_of: Make, connection: psycopg.Connection
) -> None:
    """Uniqueness is then judged when both are written."""
    users = table_of(
        "clerk text UNIQUE, mail text UNIQUE, nick text UNIQUE DEFERRABLE",
        mapped='nick = "username"',
    )
    users.upsert_many([a_user(1, username="x"), a_user(2, username="y")])
    swapped = [
        a_user(1, version=1, username="y"),
        a_user(2, version=1, username="x"),
    ]
    assert users.upsert_many(swapped).updated == 2
    assert people(connection)[user_id(1)][1] == "y"
