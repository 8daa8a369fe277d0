"""What a table demands of new rows does not concern the update of an existing one."""

from collections.abc import Callable

import psycopg
import pytest

from clerksync.clerk.user import ClerkUser
from clerksync.mapping.file import parse
from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate
from clerksync.write.outcome import Outcome
from clerksync.write.user_batches import UserBatches
from tests.people import a_user, user_id
from tests.tables import rows

pytestmark = pytest.mark.alters_schema

Write = Callable[[UserBatches, list[ClerkUser]], Outcome]


def one_by_one(users: UserBatches, people: list[ClerkUser]) -> Outcome:
    outcome = Outcome()
    for user in people:
        outcome.add(users.upsert(user))
    return outcome


def together(users: UserBatches, people: list[ClerkUser]) -> Outcome:
    return users.upsert_many(people)


@pytest.fixture(params=[one_by_one, together])
def write(request: pytest.FixtureRequest) -> Write:
    found: Write = request.param
    return found


def changed(number: int) -> list[ClerkUser]:
    return [a_user(n, version=2, first_name="New") for n in range(number)]


DEMANDS = {
    "a check that new rows do not pass": "ALTER TABLE users ADD terms boolean NOT NULL"
    " DEFAULT false; UPDATE users SET terms = true;"
    " ALTER TABLE users ADD CHECK (terms)",
    "a column without a default": "ALTER TABLE users ADD plan text;"
    " UPDATE users SET plan = 'x'; ALTER TABLE users ALTER plan SET NOT NULL",
    "a default that fails": "CREATE FUNCTION no() RETURNS text LANGUAGE plpgsql AS"
    " $$BEGIN RAISE 'no'; END$$; ALTER TABLE users ADD plan text;"
    " ALTER TABLE users ALTER plan SET DEFAULT no()",
    "a trigger for new rows": "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS"
    " $$BEGIN RAISE 'no'; END$$; CREATE TRIGGER no BEFORE INSERT ON users"
    " FOR EACH ROW EXECUTE FUNCTION no()",
    "a trigger for statements that insert": "CREATE FUNCTION no() RETURNS trigger"
    " LANGUAGE plpgsql AS $$BEGIN IF EXISTS (SELECT FROM added) THEN RAISE 'no';"
    " END IF; RETURN NULL; END$$; CREATE TRIGGER no AFTER INSERT ON users REFERENCING"
    " NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION no()",
    "a policy for new rows": "ALTER TABLE users ENABLE ROW LEVEL SECURITY;"
    " ALTER TABLE users FORCE ROW LEVEL SECURITY;"
    " CREATE POLICY old ON users USING (true) WITH CHECK (true);"
    " CREATE POLICY new ON users AS RESTRICTIVE FOR INSERT WITH CHECK (false)",
}


@pytest.mark.parametrize("demand", DEMANDS.values(), ids=DEMANDS.keys())
def test_what_new_rows_must_be_is_not_asked_of_old_ones(
    users: UserBatches, connection: psycopg.Connection, write: Write, demand: str
) -> None:
    """They are updated; only a new user is refused."""
    users.upsert_many([a_user(n, version=1) for n in range(3)])
    connection.execute(demand.encode())
    assert write(users, changed(3)).updated == 3
    assert {row["first_name"] for row in rows(connection).values()} == {"New"}


def test_updates_consume_no_value_of_a_sequence(
    database: Database, connection: psycopg.Connection, write: Write
) -> None:
    """Neither of a serial, nor of an identity column."""
    connection.execute(
        "CREATE TABLE people (id serial PRIMARY KEY, number integer GENERATED ALWAYS"
        " AS IDENTITY, clerk text NOT NULL UNIQUE, email text UNIQUE, first text)"
    )
    mapping = parse(
        '[table]\nname = "people"\nschema = "public"\nkey = "clerk"\n'
        '[columns]\nemail = "email"\nfirst = "first_name"\n',
        name="people",
    )
    migrate(database, mapping=mapping)
    people = UserBatches(database, mapping=mapping)
    people.upsert_many([a_user(n, version=1) for n in range(5)])
    swapped = [
        a_user(0, version=3, email="user1@example.com"),
        a_user(1, version=3, email="user0@example.com"),
    ]
    write(people, changed(5))
    write(people, swapped)
    write(people, [a_user(5, version=1)])
    last = connection.execute("SELECT max(id), max(number) FROM people").fetchone()
    assert last == (6, 6)


def test_a_trigger_for_new_rows_fires_once_for_each_new_user(
    users: UserBatches, connection: psycopg.Connection, write: Write
) -> None:
    """One that sends a welcome mail sends none for an update."""
    connection.execute(
        "CREATE TABLE mails (id text);"
        "CREATE FUNCTION mail() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN INSERT INTO mails VALUES (NEW.id); RETURN NEW; END$$;"
        "CREATE TRIGGER mail BEFORE INSERT ON users FOR EACH ROW"
        " EXECUTE FUNCTION mail()"
    )
    write(users, [a_user(n, version=1) for n in range(3)])
    write(users, changed(4))
    mails = connection.execute("SELECT id FROM mails ORDER BY id").fetchall()
    assert mails == [(user_id(n),) for n in range(4)]


def test_a_row_that_the_application_makes_first_is_updated(
    users: UserBatches, connection: psycopg.Connection, write: Write
) -> None:
    """Without any trace in sync_state."""
    connection.execute(
        "INSERT INTO users (id, email) VALUES (%s, 'own@example.com')", [user_id(0)]
    )
    outcome = write(users, changed(1))
    assert (outcome.created, outcome.updated) == (0, 1)
    assert rows(connection)[user_id(0)]["first_name"] == "New"
