"""What a mapping makes of Clerk's fields: the ID, several emails, the opposite, a text
that is cut off, and what a soft deletion leaves."""

import psycopg
import pytest

from tests.integration.mapping.people import Make, people
from tests.people import a_user, user_id

pytestmark = pytest.mark.alters_schema


def test_the_id_fills_a_second_column(
    table_of: Make, connection: psycopg.Connection
) -> None:
    """Such as a unique username; a soft deletion leaves it."""
    users = table_of(
        "clerk text UNIQUE, mail text UNIQUE, username varchar(150) UNIQUE NOT NULL,"
        " gone timestamptz",
        table='deleted_at = "gone"\ndeletion = "soft"',
        mapped='username = "clerk_id"',
    )
    users.upsert(a_user())
    assert people(connection)[user_id(1)][1] == user_id(1)
    assert users.upsert(a_user()).action == "unchanged"
    users.delete([user_id(1)])
    assert people(connection)[user_id(1)][:2] == (None, user_id(1))


def test_a_second_email_column_has_what_clerk_has(
    table_of: Make, connection: psycopg.Connection
) -> None:
    """Also while the unique one is reassigned to a newer claim."""
    users = table_of(
        "clerk text UNIQUE, mail text UNIQUE, contact text", mapped='contact = "email"'
    )
    users.upsert_many([a_user(1), a_user(2)])
    users.upsert(a_user(2, version=1, email="user1@example.com"))
    assert people(connection) == {
        user_id(1): (None, "user1@example.com"),
        user_id(2): ("user1@example.com", "user1@example.com"),
    }
    users.upsert(a_user(1, version=2, email="new@example.com"))
    assert people(connection)[user_id(1)] == ("new@example.com", "new@example.com")
    assert users.upsert(a_user(1, version=2, email="new@example.com")).action == (
        "unchanged"
    )


def test_the_table_names_the_email_column_that_is_unique(
    table_of: Make, connection: psycopg.Connection
) -> None:
    """As in Django, where the username is unique and the email is not; a user who loses
    the email keeps the username."""
    users = table_of(
        "clerk text UNIQUE, mail varchar(254) NOT NULL, username text UNIQUE NOT NULL",
        table='email = "username"\nemail_not_null = true',
        mail='{ from = "email", or = "" }',
        mapped='username = "email"',
    )
    users.upsert_many([a_user(1), a_user(2)])
    assert users.upsert(a_user(1, version=1, email=None)).action == "updated"
    assert people(connection) == {
        user_id(1): ("", "user1@example.com"),
        user_id(2): ("user2@example.com", "user2@example.com"),
    }
    assert users.upsert(a_user(1, version=1, email=None)).action == "unchanged"


def test_a_column_is_the_opposite_of_banned(
    table_of: Make, connection: psycopg.Connection
) -> None:
    """NOT NULL needs no constant: who is not known to be banned is active."""
    users = table_of(
        "clerk text UNIQUE, mail text UNIQUE, is_active boolean NOT NULL",
        mapped='is_active = "not banned"',
    )
    users.upsert_many([a_user(1), a_user(2, banned=True), a_user(3, banned=None)])
    active = {key: row[1] for key, row in people(connection).items()}
    assert active == {user_id(1): True, user_id(2): False, user_id(3): True}
    assert users.upsert(a_user(2, version=1)).action == "updated"
    assert people(connection)[user_id(2)][1] is True


SOFT = """
    deleted_at = "gone"
    deletion = "soft"
    email_not_null = true
    deleted_email = "deleted+{clerk_id}@example.com"
"""


def test_a_soft_deletion_anonymises_an_email_that_is_not_null(
    table_of: Make, connection: psycopg.Connection
) -> None:
    """And writes the constants of other columns that must not be NULL."""
    users = table_of(
        "clerk text UNIQUE, mail text UNIQUE NOT NULL, first text NOT NULL,"
        " locale text, gone timestamptz",
        table=SOFT,
        mapped='first = { from = "first_name", or = "" }\nlocale = "locale"',
    )
    model = users.mapping.user_model
    both = [a_user(1), a_user(2)]
    users.upsert_many([model.model_validate(user.model_dump()) for user in both])
    assert users.delete([user_id(1), user_id(2)]) == 2
    found = people(connection)
    assert [row[:3] for row in found.values()] == [
        (f"deleted+{user_id(n)}@example.com", "", None) for n in (1, 2)
    ]
    assert users.find(user_id(1)) is None


def test_an_email_is_free_again_after_a_soft_deletion(
    table_of: Make, connection: psycopg.Connection
) -> None:
    """The next user gets it, and a deleted user who comes back gets the email again."""
    users = table_of(
        "clerk text UNIQUE, mail text UNIQUE NOT NULL, gone timestamptz", table=SOFT
    )
    users.upsert(a_user(1))
    users.delete([user_id(1)])
    assert users.upsert(a_user(2, email="user1@example.com")).action == "created"
    back = a_user(1, version=1, email="back@example.com")
    assert users.upsert(back, confirmed_at=users.clock()).action == "updated"
    assert people(connection)[user_id(1)] == ("back@example.com", None)


def test_a_text_is_cut_off_after_the_length_of_its_column(
    table_of: Make, connection: psycopg.Connection
) -> None:
    """Characters count, not bytes; and what was cut off is in sync."""
    users = table_of(
        "clerk text UNIQUE, mail text UNIQUE, first varchar(5)",
        mapped='first = { from = "first_name", truncate = 5 }',
    )
    users.upsert_many([a_user(1, first_name="Zoë🦄-Marie"), a_user(2)])
    assert people(connection)[user_id(1)][1] == "Zoë🦄-"
    assert users.upsert(a_user(1, first_name="Zoë🦄-Anna")).action == "unchanged"
    assert users.upsert(a_user(1, first_name="Z")).action == "updated"
