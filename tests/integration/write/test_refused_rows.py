"""What an application's own triggers, rules and constraints do to rows, and what
clerksync says of it."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import errors

from clerksync.errors import DeletionBlockedError, RowRefusedError
from clerksync.mapping.file import parse
from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate
from clerksync.write.user_batches import UserBatches
from tests.people import a_user, user_id

pytestmark = pytest.mark.alters_schema

MEMBERS = """
CREATE TABLE members (
    clerk text PRIMARY KEY, email text UNIQUE, first text, gone_at timestamptz
)
"""
MAPPING = """\
[table]
name = "members"
key = "clerk"
{more}
[columns]
email = "email"
first = "first_name"
"""
BY_TRIGGER = 'deletion = "trigger"\ndeleted_at = "gone_at"\n'


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(MEMBERS)
        yield connection


@pytest.fixture
def members(database: Database, connection: psycopg.Connection) -> UserBatches:
    del connection  # which made the table
    return table(database)


def table(database: Database, more: str = "") -> UserBatches:
    mapping = parse(MAPPING.format(more=more), name="members")
    migrate(database, mapping=mapping)
    return UserBatches(database, mapping=mapping)


def trigger(connection: psycopg.Connection, when: str, body: str) -> None:
    """On each row of `members`."""
    connection.execute(
        f"CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {body} END$$;"
        f"CREATE TRIGGER t {when} ON members FOR EACH ROW EXECUTE FUNCTION t()".encode()
    )


def held(connection: psycopg.Connection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT clerk FROM members")}


def tombstones(connection: psycopg.Connection) -> set[str]:
    found = connection.execute(
        "SELECT clerk_id FROM sync_state WHERE deleted_at IS NOT NULL"
    )
    return {row[0] for row in found}


BANNED = "IF NEW.email LIKE '%@banned.example.com' THEN {} END IF; RETURN NEW;"
REFUSALS: dict[str, str] = {
    "an error of its own": "RAISE sqlstate 'PT402';",
    "an error that sounds like a missing privilege": "RAISE sqlstate '42501';",
    "a feature that is not supported": "RAISE sqlstate '0A000';",
    "an object in the wrong state": "RAISE sqlstate '55000';",
    "a lost assertion": "RAISE no_data_found;",
    "an external routine": "RAISE sqlstate '38000';",
    "a foreign data wrapper": "RAISE sqlstate 'HV000';",
    "too many rows": "RAISE too_many_rows;",
    "an assertion": "ASSERT false;",
    "a case that is not there": "CASE 1 WHEN 2 THEN NULL; END CASE;",
    "a query that it cancels itself": "RAISE query_canceled;",
    "a state of the server that it makes up": "RAISE sqlstate '25006';",
    "a disk that it calls full": "RAISE disk_full;",
    "an internal error": "RAISE internal_error;",
    "a table that is not there": "PERFORM * FROM nowhere;",
    "a swallowed row": "RETURN NULL;",
}


@pytest.mark.parametrize("does", REFUSALS.values(), ids=REFUSALS.keys())
@pytest.mark.parametrize("when", ["INSERT", "UPDATE"])
def test_a_row_that_a_trigger_refuses_costs_that_row_only(
    members: UserBatches,
    connection: psycopg.Connection,
    capsys: pytest.CaptureFixture[str],
    does: str,
    when: str,
) -> None:
    """Among new rows, and among rows that change; it stays as it was, and is named."""
    if when == "UPDATE":
        members.upsert_many([a_user(n, version=1) for n in range(300)])
    trigger(connection, f"BEFORE {when}", BANNED.format(does))
    people = [a_user(n, version=2, first_name="New") for n in range(300)]
    for number in (7, 150, 151):
        people[number] = a_user(
            number, version=2, first_name="New", email=f"x{number}@banned.example.com"
        )
    outcome = members.upsert_many(people)
    refused = {user_id(number) for number in (7, 150, 151)}
    assert set(outcome.failed) == refused
    assert {line.partition(":")[0] for line in outcome.failures} == refused
    assert outcome.created + outcome.updated == 297
    new = connection.execute("SELECT clerk FROM members WHERE first = 'New'")
    assert {row[0] for row in new}.isdisjoint(refused)
    again = members.upsert_many(people)
    assert set(again.failed) == refused
    assert again.unchanged == 297
    del capsys


@pytest.mark.parametrize("stored", [False, True], ids=["created", "updated"])
def test_a_single_user_whose_row_is_swallowed_is_an_error(
    members: UserBatches, connection: psycopg.Connection, *, stored: bool
) -> None:
    """No entry point may say that it was written, or deleted meanwhile."""
    if stored:
        members.upsert(a_user(1, version=1))
    kind = "UPDATE" if stored else "INSERT"
    trigger(connection, f"BEFORE {kind}", "RETURN NULL;")
    with pytest.raises(RowRefusedError, match="trigger"):
        members.upsert(a_user(1, version=2, first_name="New"))
    state = connection.execute("SELECT clerk_updated_at FROM sync_state").fetchall()
    assert len(state) == int(stored)


def test_a_statement_that_is_refused_is_not_blamed_on_users(
    members: UserBatches, connection: psycopg.Connection
) -> None:
    """A privilege that is missing for the table ends the run at once."""
    trigger(connection, "BEFORE INSERT", "RETURN NEW;")
    connection.execute(
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE sqlstate '42501'; END$$;"
        " CREATE TRIGGER no BEFORE INSERT ON members EXECUTE FUNCTION no()"
    )
    with pytest.raises(errors.InsufficientPrivilege):
        members.upsert_many([a_user(n) for n in range(50)])


KEEPS: dict[str, str] = {
    "a rule": "CREATE RULE sd AS ON DELETE TO members DO INSTEAD"
    " UPDATE members SET gone_at = now() WHERE clerk = OLD.clerk",
    "a trigger": "CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN"
    " UPDATE members SET gone_at = now() WHERE clerk = OLD.clerk; RETURN NULL; END$$;"
    " CREATE TRIGGER t BEFORE DELETE ON members FOR EACH ROW EXECUTE FUNCTION t()",
}


@pytest.mark.parametrize("keeps", KEEPS.values(), ids=KEEPS.keys())
def test_a_deletion_that_leaves_the_row_is_no_deletion(
    members: UserBatches, connection: psycopg.Connection, keeps: str
) -> None:
    """And there is no tombstone beside the row. The message says what to do."""
    members.upsert(a_user(1))
    connection.execute(keeps.encode())
    with pytest.raises(DeletionBlockedError, match='deletion = "trigger"'):
        members.delete_user(user_id(1))
    assert held(connection) == {user_id(1)}
    assert tombstones(connection) == set()


@pytest.mark.parametrize("keeps", KEEPS.values(), ids=KEEPS.keys())
def test_a_soft_deletion_by_trigger_counts_if_the_mapping_says_so(
    database: Database, connection: psycopg.Connection, keeps: str
) -> None:
    """The row is not live any more, and comes back only with a proof."""
    members = table(database, BY_TRIGGER)
    members.upsert(a_user(1))
    connection.execute(keeps.encode())
    assert members.delete([user_id(1)]) == 1
    assert members.find(user_id(1)) is None
    assert tombstones(connection) == {user_id(1)}
    assert members.delete([user_id(1)]) == 0
    assert members.upsert(a_user(1, version=9)).tombstoned == [user_id(1)]


def test_a_trigger_that_does_not_show_the_deletion_is_still_no_deletion(
    database: Database, connection: psycopg.Connection
) -> None:
    """Even if the mapping promises one."""
    members = table(database, BY_TRIGGER)
    members.upsert(a_user(1))
    trigger(connection, "BEFORE DELETE", "RETURN NULL;")
    with pytest.raises(DeletionBlockedError):
        members.delete_user(user_id(1))
    assert tombstones(connection) == set()


def test_a_unique_rule_that_nobody_knows_costs_one_row_and_no_patience(
    members: UserBatches,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same value again is no race: nothing is slept for, at no level."""
    connection.execute(
        "CREATE UNIQUE INDEX members_lower ON members (lower(email));"
        "INSERT INTO members VALUES ('legacy-7', 'Eve@Example.com', 'Eve')"
    )
    slept: list[float] = []
    monkeypatch.setattr("clerksync.postgres.database.time.sleep", slept.append)
    people = [a_user(n) for n in range(200)]
    people[50] = a_user(50, email="eve@example.com")
    outcome = members.upsert_many(people)
    assert outcome.failed == [user_id(50)]
    assert outcome.failures == [
        f"{user_id(50)}: SQLSTATE 23505 (members.members_lower)"
    ]
    assert outcome.created == 199
    assert slept == []


@pytest.mark.parametrize("number", [1, 64, 65, 129])
def test_batches_of_any_size_lose_only_the_row_that_is_bad(
    members: UserBatches, connection: psycopg.Connection, number: int
) -> None:
    """The first, the last, and whatever the groups of an isolation make of it."""
    connection.execute("ALTER TABLE members ADD CHECK (first <> 'Bad')")
    bad: Callable[[int], Any] = lambda at: a_user(at, first_name="Bad")  # noqa: E731
    for at in {0, number - 1}:
        people = [bad(n) if n == at else a_user(n) for n in range(number)]
        outcome = members.upsert_many(people)
        assert outcome.failed == [user_id(at)]
        assert held(connection) == {user_id(n) for n in range(number) if n != at}
        connection.execute("TRUNCATE members, sync_state")


def test_good_rows_after_many_bad_ones_are_written(
    members: UserBatches, connection: psycopg.Connection
) -> None:
    """Groups are not given up because the rows before them were refused alike."""
    connection.execute("ALTER TABLE members ADD CHECK (first <> 'Bad')")
    bad = {*range(64), 74}
    people = [a_user(n, first_name="Bad" if n in bad else "Noor") for n in range(192)]
    outcome = members.upsert_many(people)
    assert set(outcome.failed) == {user_id(n) for n in bad}
    assert outcome.created == 192 - 65


def test_a_row_that_a_policy_hides_is_not_called_locked(
    database: Database, connection: psycopg.Connection
) -> None:
    """Nobody else has it: the policy swallows the update."""
    members = table(database)
    members.upsert_many([a_user(n, version=1) for n in range(3)])
    connection.execute(
        "CREATE ROLE hidden_from LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public"
        " TO hidden_from; ALTER TABLE members ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY seen ON members FOR SELECT USING (true);"
        "CREATE POLICY most ON members FOR UPDATE"
        f" USING (clerk <> '{user_id(1)}')".encode()
    )
    people = [a_user(n, version=2, first_name="New") for n in range(3)]
    try:
        database.run(lambda c: c.execute("SET ROLE hidden_from"))
        outcome = members.upsert_many(people)
    finally:
        database.run(lambda c: c.execute("RESET ROLE"))
        connection.execute("DROP OWNED BY hidden_from; DROP ROLE hidden_from")
    assert outcome.failures == [
        f"{user_id(1)}: a trigger, rule or policy swallowed the row"
    ]
    assert outcome.updated == 2


def test_a_dry_run_only_reads_and_does_not_foresee_refused_rows(
    members: UserBatches, connection: psycopg.Connection
) -> None:
    """Only an insert could tell, and it would fire triggers and consume sequences."""
    connection.execute("ALTER TABLE members ADD CHECK (first <> 'Bad')")
    people = [a_user(1), a_user(2, first_name="Bad"), a_user(3)]
    outcome = members.upsert_many(people, dry_run=True)
    assert (outcome.created, outcome.failed) == (3, [])
    assert held(connection) == set()
