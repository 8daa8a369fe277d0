"""Samples as Markdown: figures are medians over rounds, ratios medians of rounds'."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from statistics import median
from typing import Final

from benchmarks.cold_start.contenders import (
    EMPTY,
    FUNCTIONS,
    MIGRATE,
    Case,
    Sample,
)
from benchmarks.goals import Goal
from benchmarks.results_table import table

_LIMITS: Final = {"webhook": 0.4, "self-sync": 0.5}
_STAGES: Final = {
    "start": "interpreter, AWS's client, emulator",
    "imports": "imports, and what runs at import",
    "secret": "reading the secret",
    "connect": "connecting to Postgres",
    "clerk": "asking Clerk",
    "work": "the rest of the handler",
}
_HEAD: Final = (
    "function",
    "settings from",
    "bytecode",
    "n",
    "first request, ms",
    "times naive",
    "second, ms",
)


class Report:
    def __init__(self, samples: Iterable[Sample]) -> None:
        self._samples = list(samples)

    def goals(self) -> Iterator[Goal]:
        """As `sam build` leaves it, the settings in a secret and in the environment."""
        for function, limit in _LIMITS.items():
            for secret in (True, False):
                case = Case(function=function, secret=secret)
                ratio = self._ratio(case)
                yield Goal(
                    f"first request of {function}, {_settings(case)}: to naive's",
                    f"at most {limit:g} times",
                    f"{ratio:.2f} times",
                    ratio <= limit,
                )

    def sections(self) -> Iterator[list[str]]:
        empty = Case(function=EMPTY)
        first, second = self._first(empty), self._second(empty)
        told = f"after {first:.0f} ms, and its second after {second:.1f} ms"
        yield [f"An empty handler answers its first request {told}."]
        for function in FUNCTIONS:
            rows = list(self._rows(function))
            yield [f"## {function}", "", *table(_HEAD, rows, 3)]
            yield [
                "Where the first request's time goes, settings from a secret, in ms:"
            ]
            yield self._stages(function)
        rows = list(self._rows(MIGRATE))
        yield [f"## {MIGRATE}", "", *table(_HEAD, rows, 3)]

    def _rows(self, function: str) -> Iterator[Sequence[str]]:
        for case in self._cases():
            if case.function != function or case.staged:
                continue
            alone = case.who == "naive" or function == MIGRATE
            yield (
                case.who,
                _settings(case),
                "yes" if case.compiled else "no",
                str(len(self._of(case))),
                f"{self._first(case):.0f}",
                "" if alone else f"{self._ratio(case):.2f}",
                f"{self._second(case):.1f}",
            )

    def _stages(self, function: str) -> list[str]:
        found = [c for c in self._cases() if c.function == function and c.staged]
        named = [f"{c.who}{', bytecode' if c.compiled else ''}" for c in found]
        rows = [
            (told, *(f"{self._stage(case, stage):.0f}" for case in found))
            for stage, told in _STAGES.items()
        ]
        together = (f"{self._first(case):.0f}" for case in found)
        rows.append(("together", *together))
        return table(("stage", *named), rows, 1)

    def _cases(self) -> list[Case]:
        """In an order of their own: rounds begin anywhere."""
        found = {sample.case for sample in self._samples}
        return sorted(
            found, key=lambda c: (c.function, not c.secret, c.compiled, c.who)
        )

    def _of(self, case: Case) -> list[Sample]:
        return [sample for sample in self._samples if sample.case == case]

    def _median(self, case: Case, figure: Callable[[Sample], float]) -> float:
        return median(figure(sample) for sample in self._of(case))

    def _first(self, case: Case) -> float:
        return self._median(case, lambda sample: sample.first_ms)

    def _second(self, case: Case) -> float:
        return self._median(case, lambda sample: sample.second_ms)

    def _stage(self, case: Case, stage: str) -> float:
        return self._median(case, lambda sample: sample.stages.get(stage, 0))

    def _ratio(self, case: Case) -> float:
        naive = {s.round: s.first_ms for s in self._of(replace(case, who="naive"))}
        return median(s.first_ms / naive[s.round] for s in self._of(case))


def _settings(case: Case) -> str:
    return "secret" if case.secret else "environment"
