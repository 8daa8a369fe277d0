"""Stub Clerks with many users, three, one and none."""

from collections.abc import Iterator

import pytest

from local.stub_clerk.stub import StubClerk


@pytest.fixture(scope="module")
def crowd() -> Iterator[StubClerk]:
    """A stub with 400 users whom no test may change."""
    with StubClerk(users=400) as stub:
        yield stub


@pytest.fixture
def stub() -> Iterator[StubClerk]:
    """An empty stub of the test's own."""
    with StubClerk() as stub:
        yield stub


@pytest.fixture
def trio() -> Iterator[StubClerk]:
    """A stub with three users."""
    with StubClerk(users=3) as stub:
        yield stub


@pytest.fixture(scope="module")
def signer() -> Iterator[StubClerk]:
    """A stub for all tests about tokens: to make an RSA key takes a while."""
    with StubClerk(users=1) as stub:
        yield stub
