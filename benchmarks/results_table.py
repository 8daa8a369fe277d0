"""Measurements as Markdown."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Final

from benchmarks.goals import Goal
from benchmarks.measurements import BASELINE, Case, Measurements
from benchmarks.scenarios import DLT, ORPHANS, SAME

_HEAD: Final = (
    "scenario",
    "contender",
    "n",
    "seconds",
    "CPU, s",
    "Postgres CPU, s",
    "users/s",
    f"times {BASELINE}",
    "requests",
    "WAL, MB",
    "peak, MB",
    "rows touched",
)
_COUNTS: Final = (
    "fetched",
    "created",
    "updated",
    "unchanged",
    "deleted",
    "skipped",
    "failed",
    "requests",
    "duration_ms",
    "sweep_ms",
)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], words: int) -> list[str]:
    """A Markdown table: so many columns of words, the others of numbers."""
    ruler = ["---"] * words + ["---:"] * (len(head) - words)
    lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    return [lines[0], f"|{'|'.join(ruler)}|", *lines[1:]]


def goals_table(goals: Iterable[Goal]) -> list[str]:
    """A table, or a sentence where nothing was measured that has a goal."""
    rows = [
        (goal.what, goal.limit, goal.measured, "yes" if goal.reached else "**no**")
        for goal in goals
    ]
    if not rows:
        return ["None of the goals is about these sizes."]
    return table(("goal", "limit", "measured", "reached"), rows, 4)


def sections(results: Measurements) -> Iterator[list[str]]:
    """For each size and latency: who did what, and what clerksync's function said."""
    grouped = groupby(results.cases(), lambda case: (case.size, case.latency_ms))
    for (size, latency_ms), cases in grouped:
        yield _section(results, size, latency_ms, list(cases))


def _section(
    results: Measurements, size: int, latency_ms: int, cases: Sequence[Case]
) -> list[str]:
    latency = f"{latency_ms} ms latency a page" if latency_ms else "no latency"
    rows = [_row(results, case) for case in cases]
    names = {(case.scenario, case.contender) for case in cases}
    if {(SAME, DLT.name), (ORPHANS, BASELINE)} <= names:
        # Orphans are the last scenario.
        blank = [""] * (len(_HEAD) - 3)
        rows.append([ORPHANS, DLT.name, "not done", *blank])
    lines = [f"## {size:,} users, {latency}", "", *table(_HEAD, rows, 2)]
    reports = {case: results.of(case)[-1].report for case in cases}
    answers = [_answer(case, report) for case, report in reports.items() if report]
    if answers:
        lines += ["", "What clerksync's function answered, in the last round:", ""]
        lines += table(("scenario", "mode", *_COUNTS), answers, 2)
    return lines


def _row(results: Measurements, case: Case) -> list[str]:
    ratio = results.ratio(case, replace(case, contender=BASELINE))
    touched = results.most_touched(case)
    return [
        case.scenario,
        case.contender,
        str(len(results.of(case))),
        f"{results.seconds(case):.2f}",
        f"{results.median(case, lambda run: run.cpu_seconds):.2f}",
        f"{results.median(case, lambda run: run.database_cpu_seconds):.2f}",
        f"{results.users_per_second(case):,.0f}",
        "" if ratio is None else f"{ratio:.2f}",
        f"{results.median(case, lambda run: run.requests):,.0f}",
        f"{results.median(case, lambda run: run.wal_bytes) / 1e6:,.2f}",
        f"{results.peak_memory_mb(case):.0f}",
        "" if touched is None else " + ".join(f"{rows:,}" for rows in touched),
    ]


def _answer(case: Case, report: Mapping[str, Any]) -> list[str]:
    counts = (report.get(name) for name in _COUNTS)
    shown = ("" if count is None else f"{count:,}" for count in counts)
    return [case.scenario, report["mode"], *shown]
