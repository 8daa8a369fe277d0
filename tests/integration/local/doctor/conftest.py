"""A setup in which nothing is wrong, until a test makes it so."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.stub_clerk.stub import StubClerk
from tests.integration.local.doctor.examining import Doctor
from tests.integration.local.doctor.remote import Remote, far_away
from tests.integration.postgres.test_tls import certificate

__all__ = ["certificate"]


@pytest.fixture
def doctor(tmp_path: Path, settings: dict[str, str]) -> Doctor:
    return Doctor(tmp_path, settings)


@pytest.fixture
def production(settings: dict[str, str]) -> Iterator[StubClerk]:
    """A live instance, in the place of the development one."""
    with StubClerk(users=3, environment_type="production") as stub:
        settings |= {
            "CLERK_SECRET_KEY": stub.secret_key,
            "CLERK_API_URL": stub.url,
            "CLERK_ISSUER": stub.issuer,
        }
        yield stub


@pytest.fixture
def remote(database_url: str, certificate: Path) -> Iterator[Remote]:
    with far_away(database_url, certificate) as remote:
        yield remote
