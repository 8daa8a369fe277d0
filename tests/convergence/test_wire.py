"""The line that can be cut: what it does to a statement is what it says."""

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from clerksync.bulk.run_ledger import RunLedger
from clerksync.postgres.database import Database
from tests.convergence.wire import Moment, Wire

HOUR = timedelta(hours=1)


@pytest.fixture
def wire(database_url: str) -> Iterator[Wire]:
    wire = Wire(database_url)
    yield wire
    wire.close()


def insert(connection: psycopg.Connection) -> None:
    connection.execute("INSERT INTO users (id) VALUES ('user_1')")


@pytest.mark.parametrize(
    ("moment", "arrives"), [("before", False), ("within", False), ("after", True)]
)
def test_a_statement_that_is_cut_is_done_or_not(
    wire: Wire, connection: psycopg.Connection, moment: Moment, *, arrives: bool
) -> None:
    """Whoever asked hears nothing in any case."""
    with psycopg.connect(wire.url, autocommit=True) as cut:
        wire.plan({1: moment})
        with pytest.raises(psycopg.OperationalError):
            insert(cut)
    assert wire.cuts == [moment]
    done = connection.execute("SELECT id FROM users").fetchall()
    assert done == ([("user_1",)] if arrives else [])


def test_a_connection_can_be_kept_from_being_made(wire: Wire) -> None:
    """Its beginning is a question too."""
    wire.plan({1: "before"})
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(wire.url)
    assert wire.cut_a_beginning


def test_the_line_is_whole_without_a_plan(
    wire: Wire, connection: psycopg.Connection
) -> None:
    """More than fits into a packet goes through, both ways."""
    text = "x" * 1_000_000
    with psycopg.connect(wire.url, autocommit=True) as through:
        shown = through.execute("SELECT %s::text", [text]).fetchone()
        insert(through)
    assert shown == (text,)
    assert connection.execute("SELECT id FROM users").fetchall() == [("user_1",)]


def test_a_walk_is_taken_over_although_the_answer_is_lost(
    wire: Wire, database: Database
) -> None:
    """Asked once more, the ledger gives this run what it has given it before."""
    ledger = RunLedger(database, "public")
    first = ledger.begin("full", dry_run=False)
    ledger.accept_instance(first, "ins_1")
    checkpoint = {"windows": [], "expected": 3, "failed": 0}
    ledger.finish(first, "partial", {}, checkpoint)
    over_the_wire = Database(lambda: wire.url)
    ledger = RunLedger(over_the_wire, "public")
    second = ledger.begin("full", dry_run=False)
    ledger.accept_instance(second, "ins_1")
    wire.plan({1: "after"})
    taken_over = ledger.take_over(second, mode="full", instance_id="ins_1", within=HOUR)
    over_the_wire.close()
    assert wire.cuts == ["after"]
    assert taken_over is not None
    assert taken_over[0].walk_id == first.run_id
    assert taken_over[1].items() >= checkpoint.items()
