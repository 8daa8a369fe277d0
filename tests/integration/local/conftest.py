"""An instance and a database of one's own, as the environment names them."""

from collections.abc import Iterator

import pytest

from local.stub_clerk.stub import StubClerk


@pytest.fixture
def stub() -> Iterator[StubClerk]:
    with StubClerk(users=30) as stub:
        yield stub


@pytest.fixture
def settings(stub: StubClerk, database_url: str) -> dict[str, str]:
    """What the environment says of a Clerk instance and a database of one's own."""
    return {
        "DATABASE_URL": database_url,
        "CLERK_SECRET_KEY": stub.secret_key,
        "CLERK_API_URL": stub.url,
        "CLERK_ISSUER": stub.issuer,
        "CLERK_WEBHOOK_SIGNING_SECRET": stub.webhook_signing_secret,
    }
