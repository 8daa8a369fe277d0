"""What a mapping makes of Clerk's fields: the ID, several emails, the opposite, a text
that is cut off, and what a soft deletion leaves."""

import psycopg
import pytest

from clerksync.errors import InvalidPayloadError, TableMisfitError
from clerksync.mapping.file import parse
from clerksync.postgres.database import Database
from clerksync.schema.length_fit import WARNING
from clerksync.schema.migrate import migrate
from tests.integration.mapping.people import Make, mapping_of_people, people
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


def test_a_text_that_is_too_long_is_reported_with_its_column(
    table_of: Make, connection: psycopg.Connection
) -> None:
    """Postgres does not name it, and the report does, without the value."""
    users = table_of(
        "clerk text UNIQUE, mail text UNIQUE, first varchar(5), last varchar(20)",
        mapped='first = "first_name"\nlast = "last_name"',
    )
    too_long = a_user(1, first_name="Zoë\tMarie", last_name="X" * 20)
    outcome = users.upsert_many([too_long, a_user(2), a_user(3)])
    assert (outcome.created, outcome.failed) == (2, [user_id(1)])
    assert outcome.failures == [
        f"{user_id(1)}: SQLSTATE 22001, too long for people.first"
    ]
    alone = users.upsert_many([a_user(4, first_name="Marie-Zoë", last_name="X" * 21)])
    assert alone.failures[0].endswith("too long for people.first, last")
    with pytest.raises(InvalidPayloadError, match=r"too long for people\.first\)"):
        users.upsert(too_long)
    assert {*people(connection)} == {user_id(2), user_id(3)}


def test_a_column_that_is_short_is_reported_when_the_table_is_migrated(
    table_of: Make, database: Database
) -> None:
    """With the line that prevents a refusal; nothing is said once it is there."""
    columns = "clerk varchar(20) UNIQUE, mail varchar(100) UNIQUE, first varchar(150)"
    mapped = 'first = "first_name"'
    table_of(columns, mapped=mapped)
    lines = migrate(database, schema="ours", mapping=mapping_of_people(mapped=mapped))
    assert all(line.startswith(WARNING) for line in lines)
    mail, first, clerk = lines
    assert "longer email" in mail
    assert first.endswith('first = { from = "first_name", truncate = 150 }')
    assert "32 characters" in clerk
    cut_off = 'first = { from = "first_name", truncate = 150 }'
    lines = migrate(database, schema="ours", mapping=mapping_of_people(mapped=cut_off))
    assert not any("first" in line for line in lines)


@pytest.mark.parametrize(
    ("columns", "table", "mapped", "line"),
    [
        ("user_name text", "", 'username = "username"', 'user_name = "username"'),
        ("username text NOT NULL UNIQUE", "", "", 'username = "clerk_id"'),
        ("is_active boolean NOT NULL", "", "", 'is_active = "not banned"'),
        ("joined timestamptz NOT NULL", "", "", 'joined = "created_at"'),
        ("is_staff boolean NOT NULL", "", "", "in [defaults]: is_staff = false"),
        ("password varchar(128) NOT NULL", "", "", 'in [defaults]: password = "!"'),
        ("age int NOT NULL CHECK (age >= 1)", "", "", "in [defaults]: age = 1"),
        (
            "kind text NOT NULL CHECK (kind IN ('admin', 'user'))",
            "",
            "",
            'in [defaults]: kind = "user"',
        ),
        (
            "land text NOT NULL CHECK (length(land) = 2)",
            "",
            "",
            'CHECK (length(land) = 2). Give it a default: ALTER TABLE … ALTER "land"',
        ),
        (
            "boss text NOT NULL REFERENCES people (clerk)",
            "",
            "",
            "A new row must reference public.people.",
        ),
        ("id uuid PRIMARY KEY", "", "", 'id = { column = "id", generate = "uuid4" }'),
        (
            "contact text UNIQUE",
            "",
            'contact = "email"',
            'add to [table]: email = "contact"',
        ),
        (
            "seats integer",
            "",
            'seats = "public_metadata.seats"',
            'seats = { from = "public_metadata.seats", type = "integer" }',
        ),
        (
            "first varchar(5)",
            "",
            'first = { from = "first_name", truncate = 10 }',
            'first = { from = "first_name", truncate = 5 }',
        ),
        (
            "first text NOT NULL",
            "",
            'first = { from = "first_name", truncate = 10 }',
            'first = { from = "first_name", truncate = 10, or = "" }',
        ),
        (
            "gone timestamptz, banned boolean NOT NULL",
            'deleted_at = "gone"',
            'banned = "banned"',
            'banned = { from = "banned", or = false }',
        ),
    ],
)
def test_each_refusal_shows_the_line_to_write(
    table_of: Make, columns: str, table: str, mapped: str, line: str
) -> None:
    """So that it can be pasted."""
    with pytest.raises(TableMisfitError) as refused:
        table_of(
            f"clerk text UNIQUE, mail text UNIQUE, {columns}",
            table=table,
            mapped=mapped,
        )
    assert line in str(refused.value)


def test_a_table_in_another_schema_is_found(table_of: Make, database: Database) -> None:
    """A mapping without a schema looks where clerksync's own tables are."""
    table_of("clerk text UNIQUE, mail text UNIQUE")
    text = '[table]\nname = "people"\nkey = "clerk"\n[columns]\nmail = "email"\n'
    with pytest.raises(
        TableMisfitError, match=r'one in "public"\. Add to .* schema = "p'
    ):
        migrate(database, schema="ours", mapping=parse(text, name="mine"))
