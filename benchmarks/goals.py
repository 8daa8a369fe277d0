"""The numbers to reach, and what was reached."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.measurements import BASELINE, Case, Measurements
from benchmarks.scenarios import (
    CHANGED,
    CLEANED,
    CLEANUP,
    COPY,
    DLT,
    FETCH,
    FIRST,
    MAPPED,
    ONE_BY_ONE,
    SAME,
    SEED,
)


@dataclass(frozen=True, slots=True)
class Goal:
    what: str
    limit: str
    measured: str
    reached: bool


def usual_goals(results: Measurements) -> Iterator[Goal]:
    """Those for which everything was measured."""
    for other, least in ((SEED, 20), (DLT, 4)):
        case = _case(10_000, FIRST, other.name)
        what = f"first load of 10,000: time of {other.name}, to clerksync's"
        yield from _at_least(
            what, results.ratio(case, _clerksync(10_000, FIRST)), least
        )
    first = _clerksync(100_000, FIRST)
    for alone in (ONE_BY_ONE, FETCH):
        limits = [_case(100_000, FIRST, limit.name) for limit in (COPY, alone)]
        what = f"first load of 100,000: to the time of copy + {alone.name}"
        yield from _at_most(what, results.ratio(first, *limits), 1.3)
    yield from _no_change(results)
    for scenario in (FIRST, SAME):
        for size in (10_000, 100_000):
            mapped = _case(size, scenario, MAPPED.name)
            ratio = results.ratio(mapped, _clerksync(size, scenario))
            what = f"{scenario} of {size:,} into Prisma's table: to the default one's"
            yield from _at_most(what, ratio, 1.1)
    for size in (10_000, 100_000):
        yield from _changed(results, size)
    one_by_one = _case(100_000, FIRST, ONE_BY_ONE.name, latency_ms=200)
    first = _clerksync(100_000, FIRST, latency_ms=200)
    what = "first load of 100,000 at 200 ms: time of one by one, to clerksync's"
    yield from _at_least(what, results.ratio(one_by_one, first), 6)


def million_goals(results: Measurements, *, small: int, large: int) -> Iterator[Goal]:
    """How a large instance compares with one of a tenth."""
    scenarios = (FIRST, SAME)
    for name in scenarios:
        few, many = _clerksync(small, name), _clerksync(large, name)
        if results.has(few, many):
            grown = results.users_per_second(few) / results.users_per_second(many)
            what = f"{name}: time per user, to that of {small:,}"
            yield from _at_most(what, grown, 1.2)
    peaks = {
        size: max(results.peak_memory_mb(_clerksync(size, name)) for name in scenarios)
        for size in (small, large)
    }
    what = f"peak memory, to that of {small:,}"
    yield from _at_most(what, peaks[large] / peaks[small], 1.15)
    megabytes = f"{peaks[large]:.0f} MB"
    yield Goal("peak memory", "under 120 MB", megabytes, peaks[large] < 120)
    for run in results.of(_case(large, CLEANUP, CLEANED.name)):
        what = f"cleanup of {run.changed:,} orphans: sweep, without the look-ups"
        in_database_ms = run.report["sweep_ms"] - run.report["prove_ms"]
        measured = (
            f"{in_database_ms / 1000:.2f} s, and {run.report['prove_ms'] / 1000:.2f} s "
            "for the look-ups"
        )
        yield Goal(what, "1.5 s", measured, in_database_ms <= 1500)


def _no_change(results: Measurements) -> Iterator[Goal]:
    same = _clerksync(100_000, SAME)
    if not results.has(same):
        return
    what = "no change of 100,000"
    touched = results.most_touched(same) or ()
    yield Goal(what, "0 rows touched", f"{sum(touched):,}", sum(touched) == 0)
    # Reading and decoding alone, as simple as can be, and with our threads.
    for alone in (ONE_BY_ONE, FETCH):
        case = _case(100_000, SAME, alone.name)
        ratio = results.ratio(same, case, limit=lambda seconds: 1.1 * seconds + 0.3)
        yield from _at_most(f"{what}: to 1.1 times {alone.name} + 0.3 s", ratio, 1)


def _changed(results: Measurements, size: int) -> Iterator[Goal]:
    runs = results.of(_clerksync(size, CHANGED))
    if runs:
        # Nothing in rate_limits: that row is the application's.
        reached = all(
            run.report["updated"] == run.changed
            and run.touched == (run.changed, 0, run.changed)
            for run in runs
        )
        updated = max(run.report["updated"] for run in runs)
        limit = f"exactly {runs[0].changed:,} updated"
        yield Goal(f"1% changed of {size:,}", limit, f"{updated:,}", reached)


def _at_least(what: str, ratio: float | None, least: int) -> Iterator[Goal]:
    if ratio is not None:
        limit = f"at least {least} times"
        yield Goal(what, limit, f"{ratio:.1f} times", ratio >= least)


def _at_most(what: str, ratio: float | None, most: float) -> Iterator[Goal]:
    if ratio is not None:
        limit = f"at most {most:g} times"
        yield Goal(what, limit, f"{ratio:.2f} times", ratio <= most)


def _case(size: int, scenario: str, contender: str, latency_ms: int = 0) -> Case:
    return Case(
        size=size, latency_ms=latency_ms, scenario=scenario, contender=contender
    )


def _clerksync(size: int, scenario: str, latency_ms: int = 0) -> Case:
    return _case(size, scenario, BASELINE, latency_ms)
