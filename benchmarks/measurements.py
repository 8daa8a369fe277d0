"""What was measured, and the figures that are drawn from it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

BASELINE: Final = "clerksync"
"""The contender that all others are compared with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a figure is about."""

    size: int
    """Users to begin with."""
    latency_ms: int
    scenario: str
    contender: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One contender, once."""

    case: Case
    round: int
    users: int
    """At Clerk, at that moment."""
    changed: int
    """Users updated or deleted at Clerk just before."""
    seconds: float
    cpu_seconds: float
    """Of the contender's own process, user and system."""
    database_cpu_seconds: float
    """Of the whole server's; 0 where the system does not tell."""
    requests: int
    wal_bytes: int
    """Of the whole server: next to nothing for who has no database."""
    peak_memory_mb: float
    touched: tuple[int, ...] | None
    """Rows of users, rate_limits and sync_state written, locked or deleted."""
    report: dict[str, Any]
    """Of clerksync's handler; empty for others."""


class Measurements:
    """All runs. Figures are medians over rounds, ratios medians of rounds' ratios."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self.runs = list(runs)

    def cases(self) -> list[Case]:
        """In the order in which they were first measured."""
        return list(dict.fromkeys(run.case for run in self.runs))

    def of(self, case: Case) -> list[Run]:
        return [run for run in self.runs if run.case == case]

    def has(self, *cases: Case) -> bool:
        return all(self.of(case) for case in cases)

    def median(self, case: Case, figure: Callable[[Run], float]) -> float:
        return median(figure(run) for run in self.of(case))

    def seconds(self, case: Case) -> float:
        return self.median(case, lambda run: run.seconds)

    def users_per_second(self, case: Case) -> float:
        return self.median(case, lambda run: run.users / run.seconds)

    def peak_memory_mb(self, case: Case) -> float:
        return self.median(case, lambda run: run.peak_memory_mb)

    def most_touched(self, case: Case) -> tuple[int, ...] | None:
        """The worst round: a median would hide the one that wrote."""
        return max((run.touched for run in self.of(case) if run.touched), default=None)

    def ratio(
        self,
        above: Case,
        *below: Case,
        limit: Callable[..., float] = lambda *seconds: sum(seconds),
    ) -> float | None:
        """Of one's seconds to the sum of others'; None when no round had them all.

        The machine drifts: ratios are taken within a round. `limit` replaces the sum.
        """
        ratios = [
            numerator.seconds / limit(*(run.seconds for run in denominators))
            for numerator, *denominators in self._rounds(above, *below)
        ]
        return median(ratios) if ratios else None

    def _rounds(self, *cases: Case) -> Iterator[list[Run]]:
        by_round = [{run.round: run for run in self.of(case)} for case in cases]
        for number in by_round[0]:
            if all(number in runs for runs in by_round):
                yield [runs[number] for runs in by_round]
