"""Pages of four users: a few dozen users are a long walk."""

from collections.abc import Iterator

import pytest

from tests.unit.bulk.windows.simulation import PAGE


@pytest.fixture(scope="module", autouse=True)
def small_pages() -> Iterator[None]:
    """For a whole module: Hypothesis runs a test many times within one fixture."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("clerksync.bulk.listing.PAGE_LIMIT", PAGE)
        patch.setattr("clerksync.bulk.windows.PAGE_LIMIT", PAGE)
        patch.setattr("clerksync.bulk.windows._WORTH_HALVING", 2 * PAGE)
        yield
