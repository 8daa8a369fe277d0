"""Many histories, of a seed: the same seed, the same histories."""

import traceback
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.convergence.arena import Arena, arena
from tests.convergence.history import HistoryBase
from tests.convergence.machine import Convergence
from tests.convergence.truth import BrokenRuleError


@dataclass(frozen=True, slots=True)
class Campaign:
    seed: int
    histories: int
    steps: int
    """Of each history."""
    shrink: bool = True


SHORT: Final = Campaign(seed=1, histories=30, steps=40)
"""Part of the tests, and what must catch a fault in any of the rules."""


# Histories and their steps: few, so that a round that failed is soon told again.
_ROUND: Final = 30, 40


# After ten, hypothesis begins to tell mutations of what it has told: nearly the same,
# with one step in the place of many.
_AT_ONCE: Final = 10
_SEEDS_OF_ITS_OWN: Final = 1_000


@dataclass(slots=True)
class Result:
    tally: Counter[str]
    broken_rule: str | None = None
    story: str = ""
    """What a person needs to know of the failure: the shortest history, as steps."""
    at_step: int = field(default=0)
    """How many steps had been taken when it was found, before shrinking."""


def run(arena: Arena, campaign: Campaign) -> Result:
    """Live through histories until all are told, or a rule is broken."""
    HistoryBase.arena = arena
    tally: Counter[str] = Counter()
    HistoryBase.tally = tally
    HistoryBase.first_failure_at = 0
    for first in range(0, campaign.histories, _AT_ONCE):
        how_many = min(_AT_ONCE, campaign.histories - first)
        the_seed = campaign.seed * _SEEDS_OF_ITS_OWN + first
        try:
            run_state_machine_as_test(
                seed(the_seed)(Convergence), settings=_settings(campaign, how_many)
            )
        except Exception as error:  # noqa: BLE001 - told, whatever it is
            at_step = HistoryBase.first_failure_at
            return Result(tally, _rule_of(error), _told(error), at_step)
    return Result(tally)


def _settings(campaign: Campaign, how_many: int) -> settings:
    return settings(
        max_examples=how_many,
        stateful_step_count=campaign.steps,
        phases=[Phase.generate, *([Phase.shrink] if campaign.shrink else [])],
        database=None,
        deadline=None,
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )


def work_rounds(url: str, seeds: Any, results: Any, shrink: bool) -> None:
    """In a process of its own: take seeds from a queue until there is None."""
    with arena(url) as here:
        for number in iter(seeds.get, None):
            histories, steps = _ROUND
            campaign = Campaign(number, histories, steps, shrink=shrink)
            results.put((number, run(here, campaign)))


def _rule_of(error: BaseException) -> str:
    if isinstance(error, BrokenRuleError):
        return error.rule
    if isinstance(error, BaseExceptionGroup):  # it did not fail in the same way again
        return _rule_of(error.exceptions[0])
    return f"{type(error).__name__}: {error}"


def _told(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))
