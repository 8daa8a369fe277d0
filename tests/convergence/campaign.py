"""Many histories, of a seed: the same seed, the same histories."""

import traceback
from collections import Counter
from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.convergence.arena import Arena
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
    phases = [Phase.generate, *([Phase.shrink] if campaign.shrink else [])]
    the_settings = settings(
        max_examples=campaign.histories,
        stateful_step_count=campaign.steps,
        phases=phases,
        database=None,
        deadline=None,
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(
            seed(campaign.seed)(Convergence), settings=the_settings
        )
    except Exception as error:  # noqa: BLE001 - told, whatever it is
        at_step = HistoryBase.first_failure_at
        return Result(tally, _rule_of(error), _told(error), at_step)
    return Result(tally)


def _rule_of(error: BaseException) -> str:
    if isinstance(error, BrokenRuleError):
        return error.rule
    if isinstance(error, BaseExceptionGroup):  # it did not fail in the same way again
        return _rule_of(error.exceptions[0])
    return f"{type(error).__name__}: {error}"


def _told(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))
