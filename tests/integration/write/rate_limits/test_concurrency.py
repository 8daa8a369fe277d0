"""Many at once, and others who change the same rows meanwhile."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import psycopg
import pytest

from clerksync.postgres.database import Database
from clerksync.write.rate_limits import Decision, consume
from tests.integration.write.rate_limits.buckets import Buckets
from tests.interleaving import install_points, interleave
from tests.tables import rows
from tests.terminal import eventually

_CONNECTIONS = 16


@pytest.fixture
def many(database_url: str) -> Iterator[list[Database]]:
    """Connections that are there before the first attempt is made."""
    with ExitStack() as stack:
        many = [
            stack.enter_context(closing(Database(lambda: database_url)))
            for _ in range(_CONNECTIONS)
        ]
        for database in many:
            database.run(lambda connection: connection.execute("SELECT"))
        yield many


def at_once(many: list[Database], somebody: str, attempts: int) -> list[Decision]:
    def attempt(database: Database) -> list[Decision]:
        each = attempts // len(many)
        return [consume(database, somebody) for _ in range(each)]

    with ThreadPoolExecutor(len(many)) as pool:
        return [decision for part in pool.map(attempt, many) for decision in part]


def someone_waits(connection: psycopg.Connection) -> None:
    """Returns when another connection waits for a lock."""

    def waits() -> bool:
        # Within a transaction, the view would show what it showed before.
        connection.execute("SELECT pg_stat_clear_snapshot()")
        query = (
            "SELECT FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return connection.execute(query).fetchone() is not None

    assert eventually(waits)


def test_400_at_once_on_a_bucket_of_ten_let_exactly_ten_through(
    many: list[Database], buckets: Buckets
) -> None:
    """Each of the ten is told another number; the others are told that none is left."""
    somebody = buckets.user(tier="TEN")
    decisions = at_once(many, somebody, 400)
    allowed = [decision for decision in decisions if decision.allowed]
    assert sorted(d.remaining for d in allowed) == list(range(10))
    assert Counter(d.remaining for d in decisions if not d.allowed) == {0: 390}


@pytest.mark.usefixtures("buckets")
def test_a_bucket_that_is_not_there_yet_is_made_once(
    many: list[Database], connection: psycopg.Connection
) -> None:
    """All want to make it, and it is exact from the first call on."""
    for number in range(5):
        somebody = f"legacy-{number}"
        connection.execute(
            "INSERT INTO users (id, tier) VALUES (%s, 'TEN')", [somebody]
        )
        decisions = at_once(many, somebody, 2 * _CONNECTIONS)
        assert sum(d.allowed for d in decisions) == 10
        assert rows(connection, "rate_limits")[somebody]["tokens"] == 0


def test_who_waits_for_the_bucket_judges_what_it_then_holds(
    many: list[Database], buckets: Buckets, connection: psycopg.Connection
) -> None:
    """What others took, in a transaction of theirs, is gone; rolled back, it is not."""
    somebody = buckets.user(tier="TEN")
    for taken, left in ((9, 0), (4, 5)):
        buckets.leave(somebody, None)
        with ThreadPoolExecutor(1) as pool:
            with connection.transaction():
                assert consume(connection, somebody, taken).allowed
                waits = pool.submit(consume, many[0], somebody, 10 - taken - left)
                someone_waits(connection)
            assert waits.result(60) == Decision(True, left, 0)
    with ThreadPoolExecutor(1) as pool:
        buckets.leave(somebody, None)
        with connection.transaction(force_rollback=True):
            assert consume(connection, somebody, 10).allowed
            waits = pool.submit(consume, many[0], somebody, 10)
            someone_waits(connection)
        assert waits.result(60) == Decision(True, 0, 0)


def test_who_waits_for_a_token_that_is_gone_is_refused(
    many: list[Database], buckets: Buckets, connection: psycopg.Connection
) -> None:
    """There was one when it came, and none when its turn was."""
    somebody = buckets.user(tier="TEN")
    with ThreadPoolExecutor(1) as pool:
        with connection.transaction():
            consume(connection, somebody, 10)
            waits = pool.submit(consume, many[0], somebody)
            someone_waits(connection)
        assert waits.result(60) == Decision(False, 0, None)


@pytest.mark.parametrize("has_bucket", [True, False])
def test_a_deletion_that_comes_first_is_a_refusal_and_no_error(
    many: list[Database],
    buckets: Buckets,
    connection: psycopg.Connection,
    *,
    has_bucket: bool,
) -> None:
    """Also where the foreign key would object to the bucket that was to be made."""
    somebody = buckets.user(tier="TEN")
    if not has_bucket:
        connection.execute("DELETE FROM rate_limits")
    with ThreadPoolExecutor(1) as pool:
        with connection.transaction():
            connection.execute(
                "INSERT INTO sync_state (clerk_id, deleted_at, synced_at)"
                " VALUES (%s, now(), now())"
                " ON CONFLICT (clerk_id) DO UPDATE SET deleted_at = now()",
                [somebody],
            )
            connection.execute("DELETE FROM users")
            waits = pool.submit(consume, many[0], somebody)
            someone_waits(connection)
        assert waits.result(60) == Decision(False, 0, None)
    assert rows(connection, "rate_limits") == {}


@pytest.mark.alters_schema
@pytest.mark.usefixtures("buckets")
def test_a_bucket_that_somebody_else_makes_meanwhile_is_taken_from(
    database_url: str, connection: psycopg.Connection
) -> None:
    """Between looking for it and making it: nobody is refused by a full bucket."""
    connection.execute("INSERT INTO users (id, tier) VALUES ('legacy-7', 'TEN')")
    install_points(connection)
    connection.execute(
        "CREATE TRIGGER pause_looked AFTER UPDATE ON rate_limits FOR EACH STATEMENT"
        " EXECUTE FUNCTION pause_here('looked')"
    )
    decisions: list[Decision] = []

    def attempt(database: Database) -> None:
        decisions.append(consume(database, "legacy-7"))

    assert interleave(database_url, "looked", attempt, attempt)
    assert sorted(d.remaining for d in decisions if d.allowed) == [8, 9]
