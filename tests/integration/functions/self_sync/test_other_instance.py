"""A table that belongs to a different Clerk instance is left as it is."""

import psycopg
import pytest

from functions.self_sync import app
from tests.doors import log_lines, untouched
from tests.integration.functions.self_sync.door import Door
from tests.tables import belongs_to

OTHER = "ins_2xOtherInstanceOtherInstanc"


def test_a_session_of_another_instance_is_refused(
    door: Door, connection: psycopg.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    """A 401. Only the log says whose key it is and what to do."""
    belongs_to(connection, OTHER)
    with untouched(connection):
        answer = door.sync()
    assert answer.status == 401
    assert "ins_" not in answer.error
    (line,) = log_lines(capsys.readouterr().out, "request refused")
    for said in (OTHER, door.clerk.instance_id, "DATABASE_URL", "force"):
        assert said in line["reason"]
    assert not door.asked()


def test_a_session_of_the_tables_instance_costs_no_request(
    door: Door, connection: psycopg.Connection
) -> None:
    """The ID of the key that signed its token is that of the instance."""
    belongs_to(connection, door.clerk.instance_id)
    assert door.sync().status == 200
    assert not door.asked("/v1/instance")


def test_a_key_with_a_different_id_proves_nothing(
    door: Door, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clerk then says whose the secret key is."""
    belongs_to(connection, door.clerk.instance_id)
    monkeypatch.setenv("CLERK_JWT_KEY", door.clerk.jwt_public_key)
    assert door.sync(door.token(headers={"kid": "rotated"})).status == 200


def test_a_forced_run_is_noticed_at_once(
    door: Door, connection: psycopg.Connection
) -> None:
    """The ledger is read with the clock, at each request."""
    belongs_to(connection, door.clerk.instance_id)
    assert door.sync().status == 200
    belongs_to(connection, OTHER)
    assert door.sync().status == 401
    belongs_to(connection, door.clerk.instance_id)
    assert door.sync().status == 200
    assert app.settings.instance_id is None
