"""An update that fails is taken back by another update, with the properties exchanged:
that one must succeed while the database is still broken, and no other may."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.doors import UNREACHABLE, sample
from tests.integration.functions.migrate.stack import LAYER, Stack
from tests.tables import rows

pytestmark = pytest.mark.alters_schema

NAME = "clerksync-schema"
Properties = dict[str, str]


def properties(**changed: str) -> Properties:
    given: Properties = sample("migration")["ResourceProperties"]
    return {**given, "MigrateAgain": "1", **changed}


BEFORE = properties()
AFTER = properties(MigrateAgain="2")
OTHER = properties(MigrateAgain="3")


def update(
    stack: Stack, before: Properties, after: Properties, *, known_by: str = NAME
) -> dict[str, Any]:
    return stack.ask(
        "Update",
        PhysicalResourceId=known_by,
        OldResourceProperties=before,
        ResourceProperties=after,
    )


@pytest.fixture
def broken(environment: pytest.MonkeyPatch) -> None:
    """No database answers."""
    environment.setenv("DATABASE_URL", UNREACHABLE)


@pytest.fixture
def mend(
    broken: None,  # noqa: ARG001 - it was so before
    environment: pytest.MonkeyPatch,
    database_url: str,
) -> Callable[[], None]:
    """None answers, until this is called."""
    return lambda: environment.setenv("DATABASE_URL", database_url)


def failed(stack: Stack, before: Properties, after: Properties, **known: str) -> str:
    """The id that an update has which failed."""
    answer = update(stack, before, after, **known)
    assert answer["Status"] == "FAILED"
    return str(answer["PhysicalResourceId"])


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize(
    "changed",
    [
        {"MigrateAgain": "2"},
        {"DefaultTier": "PRO"},
        {"Schema": "another"},
        {"Mapping": "prisma"},
        {"SecretId": "another"},
        {"Layer": LAYER.format(8)},
        {"Layer": LAYER.format(8), "Schema": "another"},
    ],
)
def test_a_failed_update_is_taken_back_without_a_database(
    stack: Stack, changed: Properties
) -> None:
    """Whatever it was that changed; then the resource has its name again."""
    after = properties(**changed)
    known_by = failed(stack, BEFORE, after)
    assert known_by.startswith(f"{NAME}-failed-")
    answer = update(stack, after, BEFORE, known_by=known_by)
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", NAME)


@pytest.mark.usefixtures("broken")
def test_deleting_a_failed_update_needs_nothing_and_keeps_its_id(stack: Stack) -> None:
    """CloudFormation takes another id for that of another resource."""
    known_by = failed(stack, BEFORE, AFTER)
    answer = stack.ask("Delete", PhysicalResourceId=known_by, ResourceProperties=AFTER)
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", known_by)


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (BEFORE, AFTER),
        (BEFORE, OTHER),
        (AFTER, OTHER),
        (AFTER, AFTER),
        (OTHER, BEFORE),
        (properties(Layer=LAYER.format(8)), BEFORE),
    ],
    ids=["again", "another", "from it to another", "in place", "to", "lower layer"],
)
def test_any_other_update_after_a_failure_migrates(
    stack: Stack, before: Properties, after: Properties
) -> None:
    """A stack whose rollback was left out or switched off may have kept the id."""
    known_by = failed(stack, BEFORE, AFTER)
    assert failed(stack, before, after, known_by=known_by).startswith(NAME)


def test_an_update_after_a_failure_gives_the_resource_its_name_again(
    stack: Stack, empty: psycopg.Connection, mend: Callable[[], None]
) -> None:
    """And its schema: the database is there again."""
    known_by = failed(stack, BEFORE, AFTER)
    mend()
    answer = update(stack, BEFORE, AFTER, known_by=known_by)
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", NAME)
    assert rows(empty, "clerksync_migrations")


def test_a_way_back_migrates_all_the_same_where_it_can(
    stack: Stack, empty: psycopg.Connection, mend: Callable[[], None]
) -> None:
    """The rollback may be what failed and was left out: the same request is then a
    deployment that somebody waits for."""
    known_by = failed(stack, AFTER, BEFORE)
    mend()
    assert update(stack, BEFORE, AFTER, known_by=known_by)["Status"] == "SUCCESS"
    assert rows(empty, "clerksync_migrations")


@pytest.mark.usefixtures("broken")
def test_the_way_back_is_that_of_the_last_failure(stack: Stack) -> None:
    """Of two in a row, each has an id of its own, which is no longer than one."""
    first = failed(stack, BEFORE, AFTER)
    second = failed(stack, BEFORE, OTHER, known_by=first)
    assert first != second
    assert len(first) == len(second)
    assert update(stack, OTHER, BEFORE, known_by=second)["Status"] == "SUCCESS"
    assert update(stack, AFTER, BEFORE, known_by=second)["Status"] == "FAILED"


@pytest.mark.usefixtures("broken")
def test_without_the_id_of_a_failure_an_update_is_no_way_back(stack: Stack) -> None:
    """As when somebody sets a parameter back: a migration that fails is told."""
    failed(stack, BEFORE, AFTER)
    assert update(stack, AFTER, BEFORE)["Status"] == "FAILED"


@pytest.mark.usefixtures("broken")
def test_a_first_deployment_that_fails_has_the_usual_id(stack: Stack) -> None:
    """Its way back is a deletion, which needs nothing anyway."""
    answer = stack.ask("Create")
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("FAILED", NAME)
