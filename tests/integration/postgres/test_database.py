"""The connection of an execution environment: dead peers and collisions."""

from collections.abc import Callable
from contextlib import closing

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import make_conninfo

from clerksync.errors import SchemaOutdatedError
from clerksync.postgres.database import Database


def backend(connection: psycopg.Connection) -> int:
    return connection.info.backend_pid


def failing(sqlstate: str, *, times: int) -> tuple[list[int], Callable[..., str]]:
    """A unit of work that the server fails so often, and the attempts it took."""
    attempts: list[int] = []

    def work(connection: psycopg.Connection) -> str:
        attempts.append(backend(connection))
        if len(attempts) <= times:
            connection.execute(f"DO $$ BEGIN RAISE SQLSTATE '{sqlstate}'; END $$")
        return "done"

    return attempts, work


def test_the_connection_is_opened_at_first_use_and_kept(database: Database) -> None:
    """An import, or a request that needs no database, opens none."""
    assert database._connection is None
    assert database.run(backend) == database.run(backend)


def test_a_connection_that_died_is_replaced_and_the_work_done_again(
    database: Database, connection: psycopg.Connection
) -> None:
    """Only its use tells of a death: between two requests, or in the middle of one."""
    first = database.run(backend)
    connection.execute("SELECT pg_terminate_backend(%s, 30000)", [first])
    attempts: list[int] = []

    def work(mine: psycopg.Connection) -> int:
        attempts.append(backend(mine))
        mine.execute("SELECT 1")
        return backend(mine)

    second = database.run(work)
    assert attempts == [first, second]
    assert first != second


def test_work_of_a_transaction_that_died_is_not_half_there(
    database: Database, connection: psycopg.Connection
) -> None:
    """Killed before its commit, then repeated: what it wrote is there once."""
    attempts = 0

    def work(mine: psycopg.Connection) -> None:
        nonlocal attempts
        attempts += 1
        with mine.transaction():
            mine.execute("INSERT INTO users (id) VALUES ('user_1')")
            if attempts == 1:
                pid = backend(mine)
                connection.execute("SELECT pg_terminate_backend(%s, 30000)", [pid])

    database.run(work)
    assert attempts == 2
    assert connection.execute("SELECT id FROM users").fetchall() == [("user_1",)]


def test_a_connection_that_dies_again_is_given_up(
    database: Database, connection: psycopg.Connection
) -> None:
    """Repeated once, not for ever; the next unit of work has its own chance."""
    attempts = 0

    def work(mine: psycopg.Connection) -> None:
        nonlocal attempts
        attempts += 1
        pid = backend(mine)
        connection.execute("SELECT pg_terminate_backend(%s, 30000)", [pid])
        mine.execute("SELECT 1")

    with pytest.raises(psycopg.OperationalError):
        database.run(work)
    assert attempts == 2
    assert database.run(backend) > 0


def test_an_error_that_leaves_the_connection_alive_is_not_repeated(
    database: Database,
) -> None:
    """A statement that takes too long would take too long again."""
    attempts = 0

    def work(connection: psycopg.Connection) -> None:
        nonlocal attempts
        attempts += 1
        with connection.transaction():
            connection.execute("SET LOCAL statement_timeout = 20")
            connection.execute("SELECT pg_sleep(10)")

    with pytest.raises(errors.QueryCanceled):
        database.run(work)
    assert attempts == 1


@pytest.mark.parametrize(
    ("sqlstate", "times"), [("40001", 4), ("40P01", 4), ("23505", 2)]
)
def test_a_collision_is_tried_again(
    database: Database, sqlstate: str, times: int
) -> None:
    """Serialization failure, deadlock, unique violation: on the same connection."""
    attempts, work = failing(sqlstate, times=times)
    assert database.run(work) == "done"
    assert len(attempts) == times + 1
    assert len(set(attempts)) == 1


@pytest.mark.parametrize(
    ("sqlstate", "error", "most"),
    [
        ("40001", errors.SerializationFailure, 5),
        ("40P01", errors.DeadlockDetected, 5),
        # The same index and the same value: no race.
        ("23505", errors.UniqueViolation, 3),
    ],
)
def test_a_collision_without_end_is_given_up(
    database: Database, sqlstate: str, error: type[psycopg.Error], most: int
) -> None:
    """The error is Postgres's own, and the connection is good for what follows."""
    attempts, work = failing(sqlstate, times=99)
    with pytest.raises(error):
        database.run(work)
    assert len(attempts) == most
    assert database.run(backend) == attempts[0]


def test_another_error_is_not_tried_again(database: Database) -> None:
    """A check that fails, fails again."""
    attempts, work = failing("23514", times=99)
    with pytest.raises(errors.CheckViolation):
        database.run(work)
    assert len(attempts) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM no_such_table",
        "SELECT no_such_function()",
        "CREATE TABLE no.t ()",
    ],
)
def test_a_database_behind_the_code_is_told_apart(
    database: Database, statement: str
) -> None:
    """It says to migrate."""
    with pytest.raises(SchemaOutdatedError, match="run migrate"):
        database.run(lambda connection: connection.execute(statement))


def test_a_changed_url_counts_from_the_next_work_on(database_url: str) -> None:
    """A rotated password must not have to wait for a new execution environment."""
    url = make_conninfo(database_url, application_name="before")
    with closing(Database(lambda: url)) as database:
        first = database.run(backend)
        url = make_conninfo(database_url, application_name="after")
        second, name = database.run(
            lambda c: (backend(c), c.info.parameter_status("application_name"))
        )
    assert first != second
    assert name == "after"


def test_nothing_is_prepared_on_the_server(database: Database) -> None:
    """A transaction pooler would hand the next statement to another server process."""

    def work(connection: psycopg.Connection) -> object:
        for _ in range(10):
            connection.execute("SELECT %s::int", [1])
        return connection.execute("SELECT count(*) FROM pg_prepared_statements")

    result = database.run(work)
    assert isinstance(result, psycopg.Cursor)
    assert result.fetchone() == (0,)


def test_what_the_url_says_of_limits_wins(database_url: str) -> None:
    """Where it says nothing, a silent server is given up after seconds."""
    own = make_conninfo(database_url, connect_timeout=17, keepalives_idle=99)
    expected = {(database_url, "5", "10"), (own, "17", "99")}
    for url, connect_timeout, keepalives_idle in expected:
        with closing(Database(lambda url=url: url)) as database:  # type: ignore[misc] # mypy cannot infer it
            parameters = database.run(lambda c: c.info.get_parameters())
        assert parameters["connect_timeout"] == connect_timeout
        assert parameters["keepalives_idle"] == keepalives_idle
        assert parameters["application_name"] == "clerksync"
