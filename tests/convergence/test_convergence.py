"""It converges: whatever arrives, in whatever order, whatever breaks.

A short campaign. `python -m tests.convergence` lives through many more histories.
"""

from collections.abc import Iterator

import pytest

from tests.convergence.arena import Arena, arena
from tests.convergence.campaign import SHORT, run
from tests.convergence.machine import Convergence


@pytest.fixture
def here(server_url: str) -> Iterator[Arena]:
    with arena(server_url) as here:
        yield here


def test_whatever_arrives_the_table_ends_equal_to_clerk(here: Arena) -> None:
    """After each step the rules of truth hold, and after a full run it is equal."""
    result = run(here, SHORT)
    assert result.broken_rule is None, result.story
    # A campaign in which something never happens would say nothing about it.
    taken = {name.removeprefix("step ") for name in result.tally}
    assert {rule.function.__name__ for rule in Convergence.setup_state().rules} <= taken
    moments = {"before", "within", "meanwhile", "after"}
    assert {f"connections cut {moment}" for moment in moments} <= taken
    assert result.tally["histories"] >= SHORT.histories
