"""The connection of an execution environment: dead peers, collisions, bad URLs."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import make_conninfo

from clerksync.errors import DatabaseUnreachableError, SchemaOutdatedError
from clerksync.postgres.database import Database

PRIVATE = ("somebody", "correct-horse", "db.example.invalid", "127.0.0.1", "customers")


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


@contextmanager
def server_that_refuses(message: str) -> Iterator[int]:
    """A Postgres that answers each log-in so; gives its port."""

    def serve() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:  # closed: that is all
                return
            with client:
                # TLS is not spoken here; then comes the log-in.
                while int.from_bytes(client.recv(4096)[4:8]) != 3 << 16:
                    client.sendall(b"N")
                fields = f"SFATAL\0VFATAL\0C28P01\0M{message}\0\0".encode()
                client.sendall(b"E" + (len(fields) + 4).to_bytes(4) + fields)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def unreachable(url: str) -> str:
    """The message about a URL, in which nothing of it is to be read."""
    with pytest.raises(DatabaseUnreachableError) as caught:
        Database(lambda: url).run(backend)
    message = str(caught.value)
    assert not [word for word in PRIVATE if word in message]
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__, "nor in a traceback"
    return message


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("somebody:correct-horse", "not a Postgres URL"),
        ("postgresql://localhost/db?sslmod=require", "does not know: sslmod"),
        ("mysql://somebody:correct-horse@db.example.invalid/customers", "not a Post"),
        ("postgresql://somebody:correct-horse@[bad/customers", "not a Postgres URL"),
        ("postgresql://somebody:correct-horse@127.0.0.1:1/customers", "host and port"),
        ("postgresql://somebody:correct-horse@db.example.invalid/customers", "host"),
        ("postgresql://somebody:correct-horse@127.0.0.1:port/customers", "host and"),
    ],
    ids=[
        "no URL",
        "unknown parameter",
        "MySQL",
        "broken URL",
        "nobody listens",
        "no such host",
        "no port",
    ],
)
def test_a_url_that_leads_nowhere_says_what_to_check_and_nothing_private(
    url: str, advice: str
) -> None:
    """Libpq's own message would quote host, port and user."""
    message = unreachable(url)
    assert advice in message
    assert "DATABASE_URL" in message


def test_a_server_without_that_database_says_so(database_url: str) -> None:
    """And not that the network is at fault."""
    url = make_conninfo(database_url, dbname="customers")
    assert "no such database or role" in unreachable(url)


def test_a_refused_password_says_so_and_not_which() -> None:
    """As Postgres words it, with the name of the role."""
    with server_that_refuses('password authentication failed for user "x"') as port:
        url = f"postgresql://somebody:correct-horse@127.0.0.1:{port}/customers"
        assert "refused user or password" in unreachable(url)


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ('no pg_hba.conf entry for host "1.2.3.4", SSL encryption', "pg_hba.conf"),
        ('PAM authentication failed for user "somebody"', "refused user or password"),
        ("SSL connection was closed unexpectedly", "cannot be reached"),
        ("sorry, too many clients already", "no more connections"),
    ],
)
def test_refusals_are_told_from_wrong_certificates(said: str, advice: str) -> None:
    """Nobody is told to trust the network who has another problem."""
    with server_that_refuses(said) as port:
        message = unreachable(f"postgresql://somebody@127.0.0.1:{port}/customers")
    assert advice in message
    assert "sslmode" not in message
