"""A webhook function that accepts a stub Clerk's deliveries."""

from collections.abc import Iterator
from typing import Any

import pytest

from functions.webhook import app
from local.stub_clerk.stub import StubClerk
from tests.integration.functions.webhook.door import Door
from tests.people import user_json


@pytest.fixture(scope="module")
def clerk() -> StubClerk:
    """Clerk as a sender only: it needs not listen."""
    return StubClerk()


@pytest.fixture
def door(clerk: StubClerk, environment: pytest.MonkeyPatch) -> Iterator[Door]:
    """The function as deployed."""
    environment.setenv("CLERK_WEBHOOK_SIGNING_SECRET", clerk.webhook_signing_secret)
    yield Door(clerk)
    app.database.close()


@pytest.fixture
def event(clerk: StubClerk) -> dict[str, Any]:
    """A delivery that would change the user of `known`, if it were accepted."""
    return clerk.event("user.updated", user_json(1, version=99, first_name="Changed"))


@pytest.fixture
def known(door: Door) -> None:
    """One user is in the table."""
    assert door.created().body["action"] == "created"
