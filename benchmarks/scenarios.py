"""The contenders of the bulk-sync benchmark, and the scenarios in which they meet."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.measurements import BASELINE

ROOT: Final = Path(__file__).parents[1]
DLT_PYTHON: Final = ROOT / ".venv-dlt" / "bin" / "python"

FIRST, SAME = "first load", "no change"
CHANGED, ORPHANS, CLEANUP = "1% changed", "1% orphans", "cleanup of 1,000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    name: str
    module: str
    arguments: tuple[str, ...] = ()
    database: str | None = None
    stores_in: str | None = None
    """The table that must hold as many users as Clerk, afterwards."""
    python: str = sys.executable
    mapping: str = "default"
    """How clerksync's table is described."""


def _clerksync(
    name: str, mode: str, database: str = BASELINE, mapping: str = "default"
) -> Contender:
    return Contender(
        name=name,
        module="clerksync",
        arguments=(mode,),
        database=database,
        stores_in="users",
        mapping=mapping,
    )


SEED: Final = Contender(name="seed", module="seed", database="seed", stores_in="users")
DLT: Final = Contender(
    name="dlt",
    module="dlt",
    database="dlt",
    stores_in="clerk.users",
    python=str(DLT_PYTHON),
)
FULL: Final = _clerksync(BASELINE, "full")
INCREMENTAL: Final = _clerksync("clerksync incremental", "incremental", "incremental")
MAPPED: Final = _clerksync("clerksync, Prisma's table", "full", "mapped", "prisma")
CLEANED: Final = _clerksync("clerksync cleanup", "cleanup")
ONE_BY_ONE: Final = Contender(name="one by one", module="one_by_one")
FETCH: Final = Contender(name="fetch", module="fetch")
COPY: Final = Contender(name="copy", module="copy", database="copy", stores_in="users")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    name: str
    contenders: tuple[Contender, ...]
    """In the order of the first round; copy after clerksync, whose rows it copies."""
    action: str | None = None
    """What happens at Clerk before: update, delete or nothing."""
    count: Callable[[int], int] = lambda size: size // 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Scenarios that follow each other, at one size and one latency a page."""

    size: int
    latency_ms: int
    scenarios: tuple[Scenario, ...]

    @property
    def contenders(self) -> frozenset[Contender]:
        return frozenset(c for s in self.scenarios for c in s.contenders)

    def reduced_to(self, names: frozenset[str]) -> "Block":
        """The same block with some contenders only."""
        scenarios = (
            Scenario(
                name=scenario.name,
                contenders=tuple(c for c in scenario.contenders if c.name in names),
                action=scenario.action,
                count=scenario.count,
            )
            for scenario in self.scenarios
        )
        kept = tuple(scenario for scenario in scenarios if scenario.contenders)
        return Block(size=self.size, latency_ms=self.latency_ms, scenarios=kept)


def usual_block(size: int, latency_ms: int) -> Block:
    """All scenarios; with a latency only the first load and the run without change.

    seed is left out where it would only wait: 1,000 pages of 200 ms, twice.
    """
    limits = (ONE_BY_ONE, FETCH) if latency_ms else (ONE_BY_ONE, FETCH, COPY)
    waits_long = latency_ms * size >= 200 * 100_000
    others = (DLT,) if waits_long else (SEED, DLT)
    mapped = () if latency_ms else (MAPPED,)
    reading = (FETCH,) if latency_ms else (ONE_BY_ONE, FETCH)
    scenarios = [
        Scenario(name=FIRST, contenders=(*others, FULL, *mapped, *limits)),
        Scenario(name=SAME, contenders=(*others, FULL, *mapped, *reading)),
    ]
    if latency_ms == 0:
        everybody = (SEED, DLT, FULL, INCREMENTAL)
        scenarios += [
            Scenario(name=CHANGED, contenders=everybody, action="update"),
            # dlt is not among them: it deletes nobody.
            Scenario(name=ORPHANS, contenders=(SEED, FULL), action="delete"),
        ]
    return Block(size=size, latency_ms=latency_ms, scenarios=tuple(scenarios))


def million_block(size: int) -> Block:
    """clerksync and its limits only, and a cleanup of 1,000 orphans."""
    cleanup = Scenario(
        name=CLEANUP,
        contenders=(CLEANED,),
        action="delete",
        # Of a small table, for a try, not more than may be deleted at once.
        count=lambda size: min(1000, size // 20),
    )
    first = Scenario(name=FIRST, contenders=(FULL, FETCH, COPY))
    same = Scenario(name=SAME, contenders=(FULL, FETCH))
    return Block(size=size, latency_ms=0, scenarios=(first, same, cleanup))
