"""An event of a different Clerk instance than the table's is refused."""

import time
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from functions.webhook import app
from tests.doors import log_lines, untouched
from tests.integration.functions.webhook.door import Door, action
from tests.people import user_json
from tests.tables import belongs_to

OTHER = "ins_2xOtherInstanceOtherInstanc"


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("event_type", ["user.created", "user.updated", "user.deleted"])
def test_nothing_of_it_is_written(
    door: Door,
    connection: psycopg.Connection,
    capsys: pytest.CaptureFixture[str],
    event_type: str,
) -> None:
    """A 400, and the log says whose event it is and what to do."""
    belongs_to(connection, OTHER)
    app.database.close()
    with untouched(connection):
        answer = door.send(event_type, user_json(2, email="user1@example.com"))
    assert answer.status == 400
    (line,) = log_lines(capsys.readouterr().out, "request refused")
    assert line["reason"] == answer.error
    for said in (OTHER, door.clerk.instance_id, "Delete this endpoint", "force"):
        assert said in line["reason"]


def test_an_event_of_the_tables_instance_is_applied(
    door: Door, connection: psycopg.Connection
) -> None:
    """Before the first run, which is the first to know the instance, any is."""
    assert action(door.created()) == "created"
    belongs_to(connection, door.clerk.instance_id)
    app.database.close()
    assert action(door.updated(first_name="Changed")) == "updated"
    assert action(door.deleted()) == "deleted"


def test_an_event_of_no_instance_is_applied(
    door: Door, event: dict[str, Any], connection: psycopg.Connection
) -> None:
    """Its signature is right, and nothing speaks against it."""
    belongs_to(connection, OTHER)
    without = {name: value for name, value in event.items() if name != "instance_id"}
    assert action(door.deliver(without)) == "created"


def test_a_forced_run_is_noticed_within_a_minute(
    door: Door, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an environment that has just found the old instance in the ledger, too. Events
    of the new instance are applied at once."""
    belongs_to(connection, door.clerk.instance_id)
    assert action(door.created()) == "created"
    belongs_to(connection, OTHER)
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + 61)
    monkeypatch.setattr("clerksync.write.instance.time", clock)
    assert door.updated().status == 400
    belongs_to(connection, door.clerk.instance_id)
    assert action(door.updated(first_name="Changed")) == "updated"


def test_the_ledger_is_read_in_the_statement_that_writes(
    door: Door, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A warm environment does not even do that, and none has a second round trip."""
    belongs_to(connection, door.clerk.instance_id)
    statements: list[str] = []
    execute = psycopg.Connection.execute

    def recorded(self: Any, query: Any, *args: Any, **options: Any) -> Any:
        if self is not connection:
            statements.append(query.as_string())
        return execute(self, query, *args, **options)

    monkeypatch.setattr(psycopg.Connection, "execute", recorded)
    door.created()
    door.updated()
    first, second = statements
    assert "sync_runs" in first
    assert "sync_runs" not in second
