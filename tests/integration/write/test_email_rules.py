"""Who holds an email is decided by the index that would refuse it."""

from collections.abc import Iterator

import psycopg
import pytest

from clerksync.mapping.file import parse
from clerksync.postgres.database import Database
from clerksync.schema.email_fit import email_rule
from clerksync.schema.migrate import migrate
from clerksync.write.user_batches import UserBatches
from tests.debian_postgres import debian_postgres, unless_installed
from tests.people import a_user, user_id
from tests.postgres import new_database

pytestmark = [pytest.mark.alters_schema, unless_installed]

MAPPING = """\
[table]
name = "members"
key = "clerk"
{more}
[columns]
email = "email"
first = "first_name"
"""
LOWER = "CREATE UNIQUE INDEX by_lower ON members (lower(email))"
IGNORING_CASE = {
    "lower besides": ("text UNIQUE", LOWER),
    "lower alone": ("text", LOWER),
    "lower of a varchar": ("varchar(200) UNIQUE", LOWER),
    "collation of the column": ('text COLLATE "any case" UNIQUE', ""),
    "collation of the index": (
        "text",
        'CREATE UNIQUE INDEX ON members (email COLLATE "any case")',
    ),
    "a generated column": (
        "text UNIQUE",
        (
            "ALTER TABLE members ADD small text UNIQUE"
            " GENERATED ALWAYS AS (lower(email)) STORED"
        ),
    ),
    "an exclusion constraint": (
        "text",
        "ALTER TABLE members ADD EXCLUDE (lower(email) WITH =)",
    ),
    "an exclusion constraint by hash": (
        "text UNIQUE",
        "ALTER TABLE members ADD EXCLUDE USING hash (lower(email) WITH =)",
    ),
    "a partial index": (
        "text",
        "CREATE UNIQUE INDEX ON members (lower(email)) WHERE gone_at IS NULL",
    ),
    "a citext": ("citext UNIQUE", ""),
    "a citext in a partial index": (
        "citext",
        "CREATE UNIQUE INDEX ON members (email) WHERE email <> ''",
    ),
}


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    with debian_postgres() as url:
        yield url


@pytest.fixture
def database_url(server_url: str) -> Iterator[str]:
    with new_database(server_url) as url:
        yield url


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            'CREATE COLLATION "any case"'
            " (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
        )
        yield connection


def members(
    database: Database,
    connection: psycopg.Connection,
    rule: tuple[str, str],
    more: str = "",
) -> UserBatches:
    column, index = rule
    if "citext" in column:
        # In a schema that is on nobody's search path.
        connection.execute("CREATE SCHEMA ext; CREATE EXTENSION citext SCHEMA ext")
        column = column.replace("citext", "ext.citext")
    connection.execute(
        f"CREATE TABLE members (clerk text PRIMARY KEY, email {column},"
        f" first text, gone_at timestamptz); {index}".encode()
    )
    mapping = parse(MAPPING.format(more=more), name="members")
    migrate(database, mapping=mapping)
    return UserBatches(database, mapping=mapping)


def emails(connection: psycopg.Connection) -> dict[str, str | None]:
    return dict(connection.execute("SELECT clerk, email FROM members").fetchall())


@pytest.fixture(params=IGNORING_CASE)
def ignoring_case(
    request: pytest.FixtureRequest, database: Database, connection: psycopg.Connection
) -> UserBatches:
    return members(database, connection, IGNORING_CASE[request.param])


def test_a_row_of_the_application_keeps_its_email(
    ignoring_case: UserBatches, connection: psycopg.Connection
) -> None:
    connection.execute(
        "INSERT INTO members VALUES ('legacy-7', 'Eve@Example.com', 'Eve')"
    )
    eve = a_user(1, email="eve@example.com")
    outcome = ignoring_case.upsert(eve)
    assert (outcome.action, outcome.email_conflicts) == ("created", 1)
    assert emails(connection) == {"legacy-7": "Eve@Example.com", user_id(1): None}
    assert ignoring_case.upsert(eve).action == "unchanged"
    assert ignoring_case.upsert_many([eve]).unchanged == 1


def test_the_newest_claim_gets_the_email(
    ignoring_case: UserBatches, connection: psycopg.Connection
) -> None:
    """Whichever comes first, one by one and in one batch."""
    old = a_user(1, email="Eve@Example.com", updated_at=1_000)
    new = a_user(2, email="eve@example.com", updated_at=2_000)
    for order in [(old, new), (new, old)]:
        for user in order:
            ignoring_case.upsert(user)
        assert emails(connection) == {user_id(1): None, user_id(2): "eve@example.com"}
        connection.execute("TRUNCATE members, sync_state")
    outcome = ignoring_case.upsert_many([old, new, a_user(3)])
    assert (outcome.created, outcome.failed) == (3, [])
    assert emails(connection) == {
        user_id(1): None,
        user_id(2): "eve@example.com",
        user_id(3): a_user(3).email,
    }


def test_a_change_of_case_is_written(
    ignoring_case: UserBatches, connection: psycopg.Connection
) -> None:
    ignoring_case.upsert(a_user(1, email="Eve@Example.com", updated_at=1_000))
    ignoring_case.upsert(a_user(1, email="eve@example.com", updated_at=2_000))
    assert emails(connection) == {user_id(1): "eve@example.com"}


def test_a_change_of_case_is_written_to_any_citext(
    database: Database, connection: psycopg.Connection
) -> None:
    """The column takes both for the same, and the user sees the difference."""
    table = members(database, connection, IGNORING_CASE["a citext"])
    connection.execute("ALTER TABLE members ALTER first TYPE ext.citext")
    table.upsert(a_user(1, first_name="zoe", updated_at=1_000))
    zoe = a_user(1, first_name="Zoe", updated_at=2_000)
    assert table.upsert(zoe).action == "updated"
    assert connection.execute("SELECT first FROM members").fetchall() == [("Zoe",)]
    assert table.upsert(zoe).action == "unchanged"


def test_two_users_swap_their_emails(
    ignoring_case: UserBatches, connection: psycopg.Connection
) -> None:
    ignoring_case.upsert_many([a_user(1, email="a@x.com"), a_user(2, email="B@x.com")])
    later = a_user(1).updated_at + 1_000
    outcome = ignoring_case.upsert_many(
        [
            a_user(1, email="b@x.com", updated_at=later),
            a_user(2, email="A@x.com", updated_at=later),
        ]
    )
    assert (outcome.updated, outcome.email_conflicts) == (2, 0)
    assert emails(connection) == {user_id(1): "b@x.com", user_id(2): "A@x.com"}


def test_a_dry_run_and_the_users_held_back_follow_the_same_rule(
    ignoring_case: UserBatches,
    database: Database,
    connection: psycopg.Connection,
) -> None:
    table = UserBatches(database, mapping=ignoring_case.mapping)
    table.read_rule = email_rule
    connection.execute(
        "INSERT INTO members VALUES ('legacy-7', 'Eve@Example.com', 'Eve')"
    )
    people = [
        a_user(1, email="eve@example.com"),
        a_user(2, email="ABE@example.com", updated_at=1_000),
        a_user(3, email="abe@example.com", updated_at=2_000),
    ]
    dry = table.upsert_many(people, dry_run=True)
    real = table.upsert_many(people)
    assert (dry.created, dry.email_conflicts, dry.held_back) == (3, 2, 1)
    assert (real.created, real.email_conflicts, real.held_back) == (3, 2, 1)


def test_rows_outside_of_a_partial_index_hold_nothing(
    database: Database, connection: psycopg.Connection
) -> None:
    table = members(database, connection, IGNORING_CASE["a partial index"])
    connection.execute(
        "INSERT INTO members VALUES ('legacy-7', 'Eve@Example.com', 'Eve', now())"
    )
    outcome = table.upsert(a_user(1, email="eve@example.com"))
    assert (outcome.action, outcome.email_conflicts) == ("created", 0)
    assert emails(connection)[user_id(1)] == "eve@example.com"


@pytest.mark.parametrize("rule", IGNORING_CASE.values(), ids=IGNORING_CASE)
def test_where_no_row_may_be_without_one_the_older_claim_keeps_it(
    database: Database, connection: psycopg.Connection, rule: tuple[str, str]
) -> None:
    column, index = rule
    table = members(
        database, connection, (f"{column} NOT NULL", index), "email_not_null = true\n"
    )
    connection.execute(
        "INSERT INTO members VALUES ('legacy-7', 'Eve@Example.com', 'Eve')"
    )
    outcome = table.upsert_many([a_user(1, email="eve@example.com"), a_user(2)])
    assert (outcome.created, outcome.skipped, outcome.failed) == (1, 1, [])
    again = table.upsert_many([a_user(1, email="eve@example.com"), a_user(2)])
    assert (again.unchanged, again.skipped, again.failed) == (1, 1, [])


def test_only_one_row_may_be_without_an_email(
    database: Database, connection: psycopg.Connection
) -> None:
    """NULLS NOT DISTINCT: no email is taken away, as where the column is NOT NULL."""
    table = members(database, connection, ("text UNIQUE NULLS NOT DISTINCT", ""))
    table.upsert_many([a_user(n, email=f"{n}@x.com") for n in range(4)])
    later = a_user(1).updated_at + 1_000
    for n in range(3):
        moved = a_user(n, email=f"{n + 1}@x.com", updated_at=later)
        assert table.upsert_many([moved]).failed == []
    assert len(emails(connection)) == 4
    assert set(emails(connection).values()) == {f"{n}@x.com" for n in range(4)}


def test_an_index_that_came_later_is_seen_by_the_next_migration(
    database: Database, connection: psycopg.Connection
) -> None:
    table = members(database, connection, ("text UNIQUE", ""))
    connection.execute(LOWER)
    connection.execute(
        "INSERT INTO members VALUES ('legacy-7', 'Eve@Example.com', 'Eve')"
    )
    eve = a_user(1, email="eve@example.com")
    assert table.upsert_many([eve]).failed == [user_id(1)]
    mapping = parse(MAPPING.format(more=""), name="members")
    assert len(migrate(database, mapping=mapping)) == 3
    assert table.upsert_many([eve]).created == 1
    assert migrate(database, mapping=mapping) == []
    connection.execute("DROP INDEX by_lower")
    assert len(migrate(database, mapping=mapping)) == 3


def test_what_a_trigger_makes_of_an_email_costs_one_row_at_most(
    database: Database, connection: psycopg.Connection
) -> None:
    """Clerk keeps addresses in lower case: then the trigger changes none of them."""
    table = members(database, connection, ("text UNIQUE", ""))
    connection.execute(
        "CREATE FUNCTION small() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN NEW.email := lower(NEW.email); RETURN NEW; END$$;"
        "CREATE TRIGGER t BEFORE INSERT OR UPDATE ON members"
        " FOR EACH ROW EXECUTE FUNCTION small();"
        "INSERT INTO members VALUES ('legacy-7', 'Eve@Example.com', 'Eve')"
    )
    outcome = table.upsert_many(
        [
            a_user(1, email="eve@example.com"),
            a_user(2, email="EVE@example.com"),
            a_user(3),
        ]
    )
    assert (outcome.created, outcome.email_conflicts) == (2, 1)
    assert outcome.failures == [
        f"{user_id(2)}: SQLSTATE 23505 (members.members_email_key)"
    ]
    assert emails(connection)[user_id(1)] is None
