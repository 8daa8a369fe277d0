"""A self-sync function that asks a stub Clerk."""

from collections.abc import Iterator

import pytest

from clerksync.clerk.rate_limit import RateLimiter
from clerksync.clerk.session_token import SessionVerifier
from functions.self_sync import app
from local.stub_clerk.stub import StubClerk
from tests.clock import recorded_waits
from tests.doors import ask_this_clerk
from tests.integration.functions.self_sync.door import Door


@pytest.fixture(scope="module")
def stub() -> Iterator[StubClerk]:
    with StubClerk() as stub:
        yield stub
        app.clerk._http.clear()


@pytest.fixture
def door(stub: StubClerk, environment: pytest.MonkeyPatch) -> Iterator[Door]:
    """A cold execution environment."""
    ask_this_clerk(environment, stub)
    environment.setenv("CLERK_ISSUER", stub.issuer)
    environment.setattr(app, "sessions", SessionVerifier(app.clerk.jwks))
    environment.setattr(app.clerk, "rate_limiter", RateLimiter())
    waits = recorded_waits(environment)
    stub.reset_faults()
    noor = stub.create_user(
        email="noor@example.com", first_name="Noor", last_name="Castell"
    )
    stub.reset_requests()
    yield Door(stub, noor["id"], waits)
    app.database.close()
    stub.reset_faults()
    for clerk_id in stub.ids():
        stub.delete_user(clerk_id)


@pytest.fixture
def known(door: Door) -> None:
    """The user has a row."""
    assert door.sync().status == 200
