"""The class for an application's own server code."""

import socket
import threading
from collections.abc import Iterator

import psycopg
import pytest

import clerksync
from clerksync import Clerksync, ClerksyncError
from clerksync.errors import DatabaseUnreachableError, NotAuthenticatedError
from local.stub_clerk.stub import StubClerk
from tests.doors import ask_this_clerk
from tests.tables import rows
from tests.terminal import eventually


@pytest.fixture
def stub(environment: pytest.MonkeyPatch) -> Iterator[StubClerk]:
    with StubClerk(users=1) as stub:
        ask_this_clerk(environment, stub)
        environment.setenv("CLERK_ISSUER", stub.issuer)
        yield stub


@pytest.fixture
def server(stub: StubClerk) -> Iterator[Clerksync]:
    del stub  # which the environment names
    with Clerksync() as server:
        yield server


def connections(connection: psycopg.Connection) -> int:
    """How many clerksync has open to this database."""
    (found,) = connection.execute(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE application_name = 'clerksync' AND datname = current_database()"
    ).fetchall()
    return int(found[0])


def test_a_request_is_authenticated_by_its_header_or_its_cookie(
    server: Clerksync, stub: StubClerk
) -> None:
    """Header names come in any case; other servers write them with capitals."""
    (clerk_id,) = stub.ids()
    token = stub.session_token(clerk_id)
    for name in ("authorization", "Authorization"):
        assert server.authenticate({name: f"Bearer {token}"}) == clerk_id
    assert server.authenticate({}, {"__session": token}) == clerk_id
    with pytest.raises(NotAuthenticatedError) as refused:
        server.authenticate({"Authorization": "Bearer no.such.token"})
    assert refused.value.http_status == 401


def test_a_user_without_a_row_is_synced_first_and_then_counted(
    server: Clerksync, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """The second time, Clerk is not asked."""
    (clerk_id,) = stub.ids()
    assert server.ensure_user(clerk_id)["id"] == clerk_id
    asked = stub.requests
    row = server.ensure_user(clerk_id)
    assert row["email"] == rows(connection)[clerk_id]["email"]
    assert stub.requests == asked
    assert server.consume(clerk_id, 59).allowed
    assert not server.consume(clerk_id, 59).allowed
    with pytest.raises(ValueError, match="above 0"):
        server.consume(clerk_id, 0)


def test_work_of_the_application_runs_on_the_same_connection(
    server: Clerksync, connection: psycopg.Connection
) -> None:
    """Committed when `run` returns."""
    server.run(lambda c: c.execute("INSERT INTO users (id) VALUES ('user_1')"))
    assert rows(connection).keys() == {"user_1"}


def test_each_thread_has_a_connection_that_ends_with_it(
    server: Clerksync, connection: psycopg.Connection
) -> None:
    """So that a server may start and end threads for as long as it likes."""
    both_connected, go = threading.Barrier(3), threading.Event()

    def work() -> None:
        server.consume("user_1")
        both_connected.wait(60)
        go.wait(60)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    both_connected.wait(60)
    assert eventually(lambda: connections(connection) == 2)
    go.set()
    for thread in threads:
        thread.join(60)
    del thread, threads
    assert eventually(lambda: connections(connection) == 0)


def test_closing_closes_all_connections_and_a_later_call_opens_a_new_one(
    server: Clerksync, connection: psycopg.Connection
) -> None:
    """Those of other threads too."""
    connected, go = threading.Event(), threading.Event()

    def work() -> None:
        server.consume("user_1")
        connected.set()
        go.wait(60)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        server.consume("user_1")
        assert connected.wait(60)
        assert eventually(lambda: connections(connection) == 2)
        server.close()
        assert eventually(lambda: connections(connection) == 0)
        server.consume("user_1")
        assert eventually(lambda: connections(connection) == 1)
    finally:
        go.set()
        thread.join(60)


def test_a_call_does_not_wait_for_ever(
    stub: StubClerk, environment: pytest.MonkeyPatch
) -> None:
    """The database takes the connection and says nothing."""
    del stub  # which the environment names
    environment.setattr(clerksync, "_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent, Clerksync() as server:
        port = silent.getsockname()[1]
        environment.setenv("DATABASE_URL", f"postgresql://a:b@127.0.0.1:{port}/c")
        with pytest.raises(DatabaseUnreachableError) as failed:
            server.ensure_user("user_1")
    assert isinstance(failed.value, ClerksyncError)
    assert failed.value.http_status == 500
