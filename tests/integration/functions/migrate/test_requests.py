"""What CloudFormation asks for, and what becomes of the schema."""

import psycopg
import pytest

from clerksync.write.user_batches import UserBatches
from functions.migrate import app
from tests.doors import UNREACHABLE
from tests.integration.functions.migrate.stack import Stack
from tests.people import a_user, user_id
from tests.tables import rows

pytestmark = pytest.mark.alters_schema


def test_a_new_stack_gets_its_schema(
    stack: Stack, empty: psycopg.Connection, users: UserBatches
) -> None:
    """CloudFormation goes on only after it is there."""
    answer = stack.ask("Create")
    assert answer["Status"] == "SUCCESS"
    assert answer["PhysicalResourceId"] == "clerksync-schema"
    assert users.upsert(a_user()).action == "created"
    assert rows(empty).keys() == {user_id(1)}


def test_an_update_keeps_what_is_there_and_its_id(
    stack: Stack, connection: psycopg.Connection, users: UserBatches
) -> None:
    """Another id would make CloudFormation delete the resource of the first."""
    users.upsert(a_user())
    before = rows(connection), rows(connection, "clerksync_migrations")
    answer = stack.ask("Update", layer=8, before=7, PhysicalResourceId="the-first")
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "the-first")
    assert (rows(connection), rows(connection, "clerksync_migrations")) == before


def test_a_new_layer_brings_what_it_has_more(
    stack: Stack, empty: psycopg.Connection
) -> None:
    """An update is a migration, not only the first deployment."""
    assert stack.ask("Update", layer=8, before=7)["Status"] == "SUCCESS"
    assert rows(empty, "clerksync_migrations")


def test_deleting_the_stack_keeps_the_data_and_needs_no_database(
    stack: Stack,
    connection: psycopg.Connection,
    users: UserBatches,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a stack whose database is gone could never be deleted."""
    users.upsert(a_user())
    before = rows(connection), rows(connection, "clerksync_migrations")
    assert stack.ask("Delete")["Status"] == "SUCCESS"
    monkeypatch.setenv("DATABASE_URL", UNREACHABLE)
    assert stack.ask("Delete")["Status"] == "SUCCESS"
    assert (rows(connection), rows(connection, "clerksync_migrations")) == before


def test_going_back_to_an_earlier_layer_succeeds_without_a_database(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rollback that fails leaves a stack that only an operator can free."""
    monkeypatch.setenv("DATABASE_URL", UNREACHABLE)
    assert stack.ask("Update", layer=9, before=10)["Status"] == "SUCCESS"
    assert stack.ask("Update", layer=10, before=9)["Status"] == "FAILED"
    assert stack.ask("Update", layer=9, before=9)["Status"] == "FAILED"


def test_a_layer_of_another_name_is_not_an_earlier_one(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its numbers begin anew."""
    monkeypatch.setenv("DATABASE_URL", UNREACHABLE)
    event = stack.event("Update", layer=1)
    other = {"Layer": event["ResourceProperties"]["Layer"].replace("Clerk", "Other")}
    other["Layer"] = f"{other['Layer']}0"
    answer = stack.ask("Update", layer=1, OldResourceProperties=other)
    assert answer["Status"] == "FAILED"


def test_older_code_leaves_a_newer_schema_alone(
    stack: Stack, connection: psycopg.Connection
) -> None:
    """A deliberate deployment of older code has a new layer, and migrates."""
    connection.execute("INSERT INTO clerksync_migrations VALUES ('9999_later.sql')")
    before = rows(connection, "clerksync_migrations")
    assert stack.ask("Update", layer=8, before=7)["Status"] == "SUCCESS"
    assert rows(connection, "clerksync_migrations") == before


def test_the_answer_has_no_content_type(stack: Stack) -> None:
    """CloudFormation signs the URL for a request without one."""
    stack.ask("Delete")
    assert stack.content_types == [""]


def test_an_answer_that_is_not_taken_is_given_again(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it, CloudFormation would wait until its time is over."""
    pauses: list[float] = []
    monkeypatch.setattr("clerksync.doors.cloudformation.time.sleep", pauses.append)
    stack.refusals = 2
    assert stack.ask("Delete")["Status"] == "SUCCESS"
    assert len(pauses) == 2


def test_an_answer_that_nobody_takes_is_an_error_of_the_function(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lambda repeats what raised."""
    monkeypatch.setattr("clerksync.doors.cloudformation.time.sleep", lambda _: None)
    stack.refusals = 3
    with pytest.raises(OSError, match="503"):
        app.handler(stack.event("Delete"), None)
    assert stack.answers == []
