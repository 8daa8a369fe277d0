"""A row that the application has locked delays that row, and nothing else."""

import psycopg
import pytest

from clerksync.errors import RowLockedError
from clerksync.mapping.file import parse
from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate
from clerksync.write.companions import restore_companions
from clerksync.write.user_batches import UserBatches
from tests.locks import locked
from tests.people import a_user, user_id
from tests.tables import rows


@pytest.fixture
def users(database: Database) -> UserBatches:
    """Waits only briefly for locked rows."""
    return UserBatches(database, lock_timeout=0.2)


def test_a_batch_writes_all_rows_except_the_locked_ones(
    users: UserBatches, database_url: str, connection: psycopg.Connection
) -> None:
    """They are returned as locked, and nothing of them was claimed."""
    users.upsert_many([a_user(n, version=1) for n in range(300)])
    new = users.rows.prepare(a_user(n, version=2, first_name="New") for n in range(310))
    with locked(database_url, user_id(7)), locked(database_url, user_id(150)):
        outcome = users.upsert_prepared(new)
    assert [row[0] for row in outcome.locked] == [user_id(7), user_id(150)]
    assert (outcome.created, outcome.updated, outcome.failed) == (10, 298, [])
    state = rows(connection, "sync_state")
    old = {i for i, row in rows(connection).items() if row["first_name"] != "New"}
    assert old == {user_id(7), user_id(150)}
    versions = {i: row["clerk_updated_at"] for i, row in state.items()}
    assert versions[user_id(7)] < versions[user_id(8)]


def test_a_locked_row_that_needs_no_change_is_not_waited_for(
    users: UserBatches, database_url: str
) -> None:
    """Whether its version is the same or newer."""
    users.upsert_many([a_user(n, version=1) for n in range(20)])
    people = [a_user(n, version=n % 2 + 1) for n in range(20)]
    with locked(database_url, user_id(7)), locked(database_url, user_id(8)):
        outcome = users.upsert_many(people)
    assert (outcome.unchanged, outcome.failed) == (20, [])


def test_a_row_that_stays_locked_is_failed_and_says_so(
    users: UserBatches, database_url: str
) -> None:
    """By ID, with the reason."""
    users.upsert_many([a_user(n, version=1) for n in range(5)])
    people = [a_user(n, version=2, first_name="New") for n in range(5)]
    with locked(database_url, user_id(3)):
        outcome = users.upsert_many(people)
    assert outcome.failed == [user_id(3)]
    assert outcome.failures == [f"{user_id(3)}: locked by another transaction"]
    assert outcome.updated == 4
    assert users.upsert_many(people).updated == 1


def test_a_row_that_is_unlocked_meanwhile_is_written(
    users: UserBatches, database_url: str, connection: psycopg.Connection
) -> None:
    """Locked rows are tried again."""
    users.upsert_many([a_user(n, version=1) for n in range(5)])
    new = users.rows.prepare(a_user(n, version=2, first_name="New") for n in range(5))
    with locked(database_url, user_id(3)):
        outcome = users.upsert_prepared(new)
    again = users.upsert_locked(outcome.locked)
    assert (again.updated, again.failed, again.locked) == (1, [], [])
    assert rows(connection)[user_id(3)]["first_name"] == "New"


def test_a_single_user_whose_row_is_locked_is_an_error_that_says_so(
    users: UserBatches, database_url: str, connection: psycopg.Connection
) -> None:
    """Nothing was claimed: the same event, sent again, is applied."""
    users.upsert(a_user(1, version=1))
    with locked(database_url, user_id(1)):
        with pytest.raises(RowLockedError, match="locked"):
            users.upsert(a_user(1, version=2, first_name="New"))
        with pytest.raises(RowLockedError, match="locked"):
            users.delete_user(user_id(1))
    assert rows(connection, "sync_state")[user_id(1)]["deleted_at"] is None
    assert users.upsert(a_user(1, version=2, first_name="New")).action == "updated"
    users.delete_user(user_id(1))
    assert rows(connection) == {}


@pytest.mark.parametrize("all_of_them", [False, True], ids=["one", "all"])
def test_an_email_whose_holder_is_locked_waits_alone(
    users: UserBatches,
    database_url: str,
    connection: psycopg.Connection,
    *,
    all_of_them: bool,
) -> None:
    """The users who do not want it are written."""
    users.upsert_many([a_user(n, version=1) for n in range(10)])
    wants = a_user(11, version=5, email="user3@example.com")
    with locked(database_url, user_id(3)):
        if all_of_them:
            with pytest.raises(RowLockedError):
                users.upsert(wants)
        else:
            others = [a_user(n, version=2, first_name="New") for n in (1, 2)]
            outcome = users.upsert_many([*others, wants])
            assert (outcome.updated, outcome.failed) == (2, [user_id(11)])
        assert user_id(11) not in rows(connection)
    assert users.upsert(wants).action == "created"
    assert rows(connection)[user_id(3)]["email"] is None


def test_locked_rows_that_are_to_be_deleted_are_named(
    users: UserBatches, database_url: str
) -> None:
    """The statement is refused at once, and says which rows are locked."""
    users.upsert_many([a_user(n) for n in range(5)])
    ids = [user_id(n) for n in range(5)]
    with (
        locked(database_url, user_id(3)),
        pytest.raises(psycopg.Error) as error,
    ):
        users.delete(ids)
    assert error.value.diag.message_detail == user_id(3)
    assert users.delete(ids) == 5


@pytest.mark.alters_schema
def test_a_companion_whose_user_is_locked_costs_that_row_only(
    users: UserBatches,
    database: Database,
    database_url: str,
    connection: psycopg.Connection,
) -> None:
    """The rows of the others are made, and the next run makes this one."""
    users.upsert_many([a_user(n) for n in range(20)])
    connection.execute("DELETE FROM rate_limits")
    with locked(database_url, user_id(3)):
        (failure,) = restore_companions(database, users)
    assert failure == f"{user_id(3)}: rate_limits: locked by another transaction"
    assert len(rows(connection, "rate_limits")) == 19
    assert restore_companions(database, users) == []


@pytest.mark.alters_schema
def test_a_locked_row_of_another_table_costs_only_who_needs_it(
    users: UserBatches, database_url: str, connection: psycopg.Connection
) -> None:
    """Here, a trigger of the application updates a row per user."""
    connection.execute(
        "CREATE TABLE totals (id text PRIMARY KEY, n integer NOT NULL DEFAULT 0);"
        "CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
        " UPDATE totals SET n = n + 1 WHERE id = NEW.id; RETURN NEW; END$$;"
        "CREATE TRIGGER t BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION t()"
    )
    users.upsert_many([a_user(n, version=1) for n in range(40)])
    connection.execute("INSERT INTO totals (id) SELECT id FROM users")
    people = [a_user(n, version=2, first_name="New") for n in range(40)]
    with locked(database_url, user_id(3), table="totals"):
        outcome = users.upsert_many(people)
    assert (outcome.updated, outcome.failed) == (39, [user_id(3)])


@pytest.mark.alters_schema
def test_a_hot_row_that_everybody_needs_does_not_cost_a_wait_for_each(
    users: UserBatches, database_url: str, connection: psycopg.Connection
) -> None:
    """After some rows that are locked one after the other, the others are left out."""
    connection.execute(
        "CREATE TABLE totals (id text PRIMARY KEY, n integer);"
        "INSERT INTO totals VALUES ('all', 0);"
        "CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
        " UPDATE totals SET n = n + 1; RETURN NEW; END$$;"
        "CREATE TRIGGER t BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION t();"
        # Whatever is tried leaves a trace that no rollback takes back.
        "CREATE SEQUENCE attempts;"
        "CREATE FUNCTION a() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
        " PERFORM nextval('attempts'); RETURN NEW; END$$;"
        "CREATE TRIGGER a BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION a()"
    )
    new = users.rows.prepare(a_user(n) for n in range(300))
    with locked(database_url, "all", table="totals"):
        outcome = users.upsert_prepared(new)
    assert len(outcome.locked) == 300
    (attempts,) = connection.execute("SELECT last_value FROM attempts").fetchall()[0]
    assert attempts < 60
    assert users.upsert_locked(outcome.locked).created == 300


@pytest.mark.alters_schema
def test_an_error_of_a_trigger_is_not_taken_for_a_lock(
    users: UserBatches, connection: psycopg.Connection
) -> None:
    """Whatever SQLSTATE it raises, also those that mean a lock to clerksync."""
    for state in ("55P03", "CS003"):
        connection.execute(
            "CREATE OR REPLACE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$BEGIN IF NEW.id LIKE '%7' THEN RAISE sqlstate '{state}'; END IF;"
            " RETURN NEW; END$$;"
            "CREATE OR REPLACE TRIGGER t BEFORE INSERT ON users FOR EACH ROW"
            " EXECUTE FUNCTION t()".encode()
        )
        outcome = users.upsert_many([a_user(n) for n in range(20)])
        assert outcome.failed == [user_id(7), user_id(17)]
        assert outcome.failures[0] == f"{user_id(7)}: SQLSTATE {state}"
        connection.execute("TRUNCATE users, sync_state CASCADE")


@pytest.mark.alters_schema
def test_an_email_that_must_not_be_null_waits_with_its_locked_holder(
    database: Database, database_url: str, connection: psycopg.Connection
) -> None:
    """Nobody is skipped for it, and both are written once the holder is unlocked."""
    connection.execute(
        "CREATE TABLE people (id text PRIMARY KEY, email text NOT NULL UNIQUE)"
    )
    mapping = parse(
        '[table]\nname = "people"\nschema = "public"\nkey = "id"\n'
        'email_not_null = true\n[columns]\nemail = "email"\n',
        name="people",
    )
    migrate(database, mapping=mapping)
    moved = a_user(1, version=5, email="moved@example.com")
    people = UserBatches(
        database, mapping=mapping, lock_timeout=0.2, ask=lambda _: [moved]
    )
    people.upsert(a_user(1, version=1))
    new = people.rows.prepare([a_user(2, version=6, email="user1@example.com")])
    with locked(database_url, user_id(1), table="people"):
        outcome = people.upsert_prepared(new)
    assert {row[0] for row in outcome.locked} == {user_id(1), user_id(2)}
    assert (outcome.skipped, outcome.failed) == (0, [])
    people.upsert_locked(outcome.locked)
    found = connection.execute("SELECT id, email FROM people").fetchall()
    assert dict(found) == {
        user_id(1): "moved@example.com",
        user_id(2): "user1@example.com",
    }
