"""Two transactions, interleaved where we want and not where luck will have it.

Triggers stop the first one at a named point until it is let go; the second starts
while the first is held, and runs until it ends or waits for the first.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from clerksync.postgres.database import Database

Work = Callable[[Database], object]

_GATE = 4711
_PAUSE = """
    CREATE FUNCTION pause_here() RETURNS trigger LANGUAGE plpgsql
    SET lock_timeout = 0 AS $$
    BEGIN
        IF current_setting('test.pause', true) = TG_ARGV[0] THEN
            PERFORM pg_advisory_xact_lock_shared(4711);
        END IF;
        RETURN coalesce(NEW, OLD);
    END $$
"""

# Before a row is written it is already found and, for an update, locked; after, it is
# written and not yet visible to others. "commit" is the end of the transaction.
POINTS = [
    f"{moment}:{event}:{table}"
    for table in ("sync_state", "users", "rate_limits")
    for moment in ("BEFORE", "AFTER")
    for event in ("INSERT", "UPDATE", "DELETE")
] + ["commit"]


def install_points(connection: psycopg.Connection) -> None:
    connection.execute(_PAUSE)
    for number, point in enumerate(POINTS[:-1]):
        moment, event, table = point.split(":")
        connection.execute(
            sql.SQL(
                "CREATE TRIGGER {} {} {} ON {} FOR EACH ROW"
                " EXECUTE FUNCTION pause_here({})"
            ).format(
                sql.Identifier(f"pause_{number}"),
                sql.SQL(moment),
                sql.SQL(event),
                sql.Identifier(table),
                sql.Literal(point),
            )
        )
    connection.execute(
        "CREATE CONSTRAINT TRIGGER pause_commit AFTER INSERT OR UPDATE ON sync_state"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
        " EXECUTE FUNCTION pause_here('commit')"
    )


def interleave(
    url: str,
    point: str,
    first: Callable[[Database], Any],
    second: Callable[[Database], Any],
) -> bool:
    """Hold `first` at the point, start `second`, let `first` go, wait for both.

    Returns whether `first` came by the point at all. Raises what either raised.
    """
    held = Database(lambda: make_conninfo(url, options=f"-c test.pause={point}"))
    free = Database(lambda: url)
    errors: list[BaseException] = []

    def start(work: Callable[[Database], Any], database: Database) -> threading.Thread:
        def run() -> None:
            try:
                work(database)
            except BaseException as error:  # noqa: BLE001 - raised again below
                errors.append(error)
            finally:
                database.close()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    with psycopg.connect(url, autocommit=True) as gate:
        gate.execute("SELECT pg_advisory_lock(%s)", [_GATE])
        threads = [start(first, held)]
        reached = _settle(gate, threads[0], waiting=1)
        threads.append(start(second, free))
        _settle(gate, threads[1], waiting=2 if reached else 1)
        gate.execute("SELECT pg_advisory_unlock(%s)", [_GATE])
        for thread in threads:
            thread.join(timeout=60)
            assert not thread.is_alive(), "neither goes on: a deadlock outside Postgres"
    if errors:
        raise errors[0]
    return reached


def _settle(gate: psycopg.Connection, thread: threading.Thread, waiting: int) -> bool:
    """Wait until the thread has ended (False) or that many backends wait (True)."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        row = gate.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ).fetchone()
        if row is not None and row[0] >= waiting:
            return True
        if not thread.is_alive():
            return False
        time.sleep(0.002)
    raise AssertionError("the transaction neither ended nor waited")


def start(url: str, work: Work) -> tuple[threading.Thread, list[Exception]]:
    """Run in a thread of its own until it waits for a lock; what it raises later on."""
    raised: list[Exception] = []

    def run() -> None:
        database = Database(lambda: make_conninfo(url, application_name=name))
        try:
            work(database)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            raised.append(error)
        finally:
            database.close()

    name = f"waiting {id(raised)}"
    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 60
    with psycopg.connect(url, autocommit=True) as gate:
        while time.monotonic() < deadline:
            query = (
                "SELECT FROM pg_stat_activity"
                " WHERE application_name = %s AND wait_event_type = 'Lock'"
            )
            if gate.execute(query, [name]).fetchone() is not None:
                return thread, raised
            time.sleep(0.002)
    raise AssertionError("it never waited")
