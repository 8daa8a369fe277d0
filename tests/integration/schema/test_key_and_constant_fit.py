"""Constraints and constants that would only be met by the first user are met before."""

import psycopg
import pytest

from clerksync.errors import TableMisfitError
from clerksync.mapping.file import DEFAULT, parse
from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate
from tests.integration.schema.people import MAPPING, make_tables, refusal

pytestmark = pytest.mark.alters_schema

WITH_BUCKETS = MAPPING.replace("[columns]", "rate_limits = true\n[columns]")


@pytest.fixture(autouse=True)
def tables(connection: psycopg.Connection) -> None:
    make_tables(connection)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            (
                "ALTER TABLE credits DROP CONSTRAINT credits_person_fkey,"
                " ALTER person TYPE text"
            ),
            'is a text, and cannot hold the uuid of "id"',
        ),
        (
            (
                "CREATE TABLE elsewhere (id uuid PRIMARY KEY);"
                " ALTER TABLE credits DROP CONSTRAINT credits_person_fkey,"
                " ADD FOREIGN KEY (person) REFERENCES elsewhere"
            ),
            "refers to elsewhere|refers to ours.elsewhere",
        ),
        (
            (
                "ALTER TABLE people ADD other uuid UNIQUE;"
                " ALTER TABLE credits DROP CONSTRAINT credits_person_fkey,"
                " ADD FOREIGN KEY (person) REFERENCES people (other)"
            ),
            'refers to "other", and not to "id"',
        ),
    ],
    ids=["another type", "another table", "another column"],
)
def test_a_companion_that_cannot_follow_its_user(
    database: Database, connection: psycopg.Connection, change: str, reason: str
) -> None:
    """Each new user would fail, or each change of one."""
    connection.execute(change.encode())
    said = refusal(database)
    assert any(part in said for part in reason.split("|")), said


def test_a_companion_needs_no_foreign_key(
    database: Database, connection: psycopg.Connection
) -> None:
    """Types that compare are enough."""
    connection.execute("ALTER TABLE credits DROP CONSTRAINT credits_person_fkey")
    assert migrate(database, schema="ours", mapping=parse(MAPPING, name="mine"))


def test_buckets_that_follow_another_table_are_not_taken(database: Database) -> None:
    """They were made by an earlier migrate, for the users of the default mapping."""
    migrate(database, schema="ours", mapping=DEFAULT)
    said = refusal(database, WITH_BUCKETS)
    assert "refers to" in said
    assert "users, and not to" in said


def test_buckets_of_the_application_must_go_with_their_user(
    database: Database, connection: psycopg.Connection
) -> None:
    """The message holds the statement that mends it."""
    connection.execute(
        "CREATE TABLE rate_limits (user_id varchar(255) PRIMARY KEY,"
        " tokens double precision, refilled_at timestamptz NOT NULL DEFAULT now())"
    )
    said = refusal(database, WITH_BUCKETS)
    statement = said[said.index("ALTER TABLE") :].partition(" ON DELETE CASCADE")[0]
    connection.execute(f"{statement} ON DELETE CASCADE".encode())
    assert migrate(database, schema="ours", mapping=parse(WITH_BUCKETS, name="mine"))


NOT_UNIQUE = MAPPING.replace("[columns]", "email_unique = false\n[columns]")
ODD = [
    "CREATE UNIQUE INDEX odd ON people (mail, role)",
    "CREATE UNIQUE INDEX odd ON people (lower(mail || role))",
    "ALTER TABLE people ADD CONSTRAINT odd UNIQUE (mail) DEFERRABLE",
    "ALTER TABLE people ADD CONSTRAINT odd EXCLUDE (mail WITH =, role WITH =)",
]
UNDERSTOOD = [
    "CREATE UNIQUE INDEX odd ON people (lower(mail))",
    "CREATE UNIQUE INDEX odd ON people (mail) WHERE note IS NULL",
    "ALTER TABLE people ADD CONSTRAINT odd EXCLUDE (mail WITH =)",
]


@pytest.mark.parametrize("rule", ODD)
@pytest.mark.parametrize("mapping", [MAPPING, NOT_UNIQUE], ids=["unique", "not unique"])
def test_a_rule_for_emails_that_is_not_understood_is_refused(
    database: Database, connection: psycopg.Connection, rule: str, mapping: str
) -> None:
    """By such an index no email could be reassigned, whatever the mapping says."""
    connection.execute("ALTER TABLE people DROP CONSTRAINT people_mail_key")
    connection.execute(rule.encode())
    said = refusal(database, mapping)
    assert "odd" in said
    assert 'CREATE UNIQUE INDEX ON "ours"."people" ("mail")' in said


@pytest.mark.parametrize("key", ["clerk", '"Clerk"'])
def test_an_index_for_the_applications_own_rows_may_be_of_any_kind(
    database: Database, connection: psycopg.Connection, key: str
) -> None:
    """It refuses no row with a Clerk ID. The message says how to limit it to them."""
    connection.execute(
        f"ALTER TABLE people DROP CONSTRAINT people_mail_key;"
        f"ALTER TABLE people RENAME clerk TO key;"
        f"ALTER TABLE people RENAME key TO {key};"
        "CREATE UNIQUE INDEX odd ON people (mail, role)".encode()
    )
    mapping = NOT_UNIQUE.replace('"clerk"', f'"{key.strip(chr(34))}"')
    limited = f'WHERE "{key.strip(chr(34))}" IS NULL'
    assert limited in refusal(database, mapping)
    connection.execute(
        f"DROP INDEX odd; CREATE UNIQUE INDEX ON people (mail, role) {limited}".encode()
    )
    assert migrate(database, schema="ours", mapping=parse(mapping, name="mine"))


@pytest.mark.parametrize("rule", UNDERSTOOD)
def test_a_rule_that_is_understood_only_has_to_agree_with_the_mapping(
    database: Database, connection: psycopg.Connection, rule: str
) -> None:
    connection.execute("ALTER TABLE people DROP CONSTRAINT people_mail_key")
    connection.execute(rule.encode())
    said = refusal(database, NOT_UNIQUE)
    assert "odd: take email_unique = false out of the mapping" in said
    assert migrate(database, schema="ours", mapping=parse(MAPPING, name="mine"))


@pytest.mark.parametrize(
    "index",
    [
        "(mail, role)",
        "(lower(mail), role)",
        "(role, note) WHERE mail IS NOT NULL",
        "((mail IS NULL)) WHERE mail IS NULL",
    ],
)
def test_a_second_index_that_refuses_no_more_or_is_about_nothing_else(
    database: Database, connection: psycopg.Connection, index: str
) -> None:
    """Nobody has to drop what does no harm. What can refuse more is named."""
    connection.execute(f"CREATE UNIQUE INDEX odd ON people {index}".encode())
    if "(mail, role)" in index or "note" in index:
        assert migrate(database, schema="ours", mapping=parse(MAPPING, name="mine"))
    else:
        assert "odd" in refusal(database)


@pytest.mark.parametrize(
    ("column", "old", "new"),
    [
        ("active boolean", 'role = "member"', "active = 1"),
        ("short varchar(3)", 'role = "member"', 'short = "member"'),
        (
            "odd jsonb",
            "[defaults]",
            (
                'odd = { from = "public_metadata.x", type = "jsonb", or = "none" }\n'
                "[defaults]"
            ),
        ),
        (
            "odd timestamptz",
            "[defaults]",
            (
                'odd = { from = "public_metadata.x", type = "timestamp", '
                'or = "never" }\n[defaults]'
            ),
        ),
        (
            "short varchar(3)",
            "[defaults]",
            'short = { from = "public_metadata.x", or = "none" }\n[defaults]',
        ),
    ],
)
def test_constants_are_tried_as_an_insert_would(
    database: Database,
    connection: psycopg.Connection,
    column: str,
    old: str,
    new: str,
) -> None:
    """A cast alone shortens a text, and makes 1 true."""
    connection.execute("ALTER TABLE people ALTER role SET DEFAULT 'x'")
    connection.execute(f"ALTER TABLE people ADD {column}".encode())
    assert "does not take" in refusal(database, MAPPING.replace(old, new))


@pytest.mark.parametrize("type_", ["numeric(6,2)", "smallint"])
def test_columns_that_round_or_overflow(
    database: Database, connection: psycopg.Connection, type_: str
) -> None:
    """What was rounded would be written by each run anew, what is too large refused."""
    connection.execute(f"ALTER TABLE people ADD seats {type_}".encode())
    seats = 'seats = { from = "public_metadata.seats", type = "integer" }\n\n[defaults]'
    assert type_ in refusal(database, MAPPING.replace("[defaults]", seats))


def test_what_a_soft_deletion_empties_must_take_null(database: Database) -> None:
    """CLERKSYNC_DELETE_MODE says so, and the mapping did not."""
    mapping = parse(
        MAPPING.replace("[columns]", 'deleted_at = "gone"\n[columns]'), name="mine"
    ).with_deletion(soft=True)
    database.run(lambda c: c.execute("ALTER TABLE ours.people ADD gone timestamptz"))
    with pytest.raises(TableMisfitError, match="a soft deletion empties it"):
        migrate(database, schema="ours", mapping=mapping)


@pytest.mark.parametrize(
    "index", ["(plan)", "(lower(plan))", "(plan) WHERE plan <> ''", "(role)"]
)
def test_a_constant_for_a_unique_column_is_refused(
    database: Database, connection: psycopg.Connection, index: str
) -> None:
    """Only the first user could have it, and each one after would fail."""
    connection.execute(f"CREATE UNIQUE INDEX ON people {index}".encode())
    assert "is unique: only one row could have the constant" in refusal(database)


def test_no_constant_is_advised_for_a_unique_column_that_is_not_null(
    database: Database, connection: psycopg.Connection
) -> None:
    """Such as the username of a framework's users."""
    connection.execute('ALTER TABLE people ALTER "full" SET NOT NULL')
    assert 'or = ""' in refusal(database)
    connection.execute('ALTER TABLE people ADD UNIQUE ("full")')
    said = refusal(database)
    assert "no constant can stand in" in said
    assert 'or = ""' not in said
