"""What map says about texts that are too long, and about the rows that are there."""

import pytest

from tests.integration.local.map.mapper import Users

pytestmark = pytest.mark.alters_schema

KEY = "clerk_id text UNIQUE, email text UNIQUE"


def test_what_a_short_column_does_not_hold_is_cut_off(users: Users) -> None:
    """The file says so, and doctor has nothing to warn of."""
    mapped = users(
        f"{KEY}, first_name varchar(50) NOT NULL, last_name varchar(40), name text,"
        " username varchar(64)"
    )
    cut = {c.name: c.truncate for c in mapped.mapping.columns if c.truncate}
    assert cut == {"first_name": 50, "last_name": 40}
    assert mapped.text.count("longer texts are cut off") == 2
    assert ("warning", "table") not in mapped.levels
    assert mapped.decisions == {}


def test_a_column_that_is_too_short_for_emails_is_a_decision(users: Users) -> None:
    """They cannot be cut off. doctor warns of the same until the column is longer."""
    mapped = users(
        "clerk_id text UNIQUE, email varchar(100) UNIQUE, username varchar(30) UNIQUE,"
        " phone varchar(10)"
    )
    assert mapped.decisions.keys() == {"email", "username", "phone"}
    assert ("warning", "table") in mapped.levels
    users.mapper.follow(mapped)
    mapped = users.mapper.map()
    assert mapped.decisions == {}
    assert ("warning", "table") not in mapped.levels


def test_map_names_what_the_first_sync_overwrites(users: Users) -> None:
    """In columns that have something in the rows that were there before Clerk."""
    columns = f"{KEY}, first_name text, last_name text, avatar text, banned boolean"
    assert users(columns).decisions == {}
    mapped = users(
        columns,
        "(clerk_id, email, first_name, avatar) VALUES ('user_1', 'a@b.c', 'A', 'x')",
    )
    assert mapped.decisions.keys() == {"Your rows"}
    said = mapped.decisions["Your rows"]
    assert "overwrites first_name, avatar, banned with what Clerk has" in said


def test_the_verdict_agrees_with_a_decision_about_a_missing_column(
    users: Users,
) -> None:
    """Its line must not go: the column has to come."""
    mapped = users("id serial PRIMARY KEY, name text", "(name) VALUES ('Ada')")
    assert {"clerk_id", "email"} <= mapped.decisions.keys()
    assert 'column "clerk_id" does not exist. Create it, or name' in mapped.said
    assert 'column "email" does not exist. Create it, or name' in mapped.said
