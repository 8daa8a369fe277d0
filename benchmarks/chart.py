"""Users per second as a picture: one panel for each latency, at the largest size."""

from itertools import groupby
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure

from benchmarks.measurements import BASELINE, Case, Measurements
from benchmarks.scenarios import (
    COPY,
    DLT,
    FETCH,
    INCREMENTAL,
    MAPPED,
    ONE_BY_ONE,
    ORPHANS,
    SEED,
)

_LIMIT: Final = "#c9ced6"
_COLOURS: Final = {
    SEED.name: "#8a8f98",
    DLT.name: "#d9862b",
    BASELINE: "#2257b8",
    INCREMENTAL.name: "#7ea6e8",
    MAPPED.name: "#4f7fd6",
    ONE_BY_ONE.name: _LIMIT,
    FETCH.name: _LIMIT,
    COPY.name: _LIMIT,
}
_NAMES: Final = {
    SEED.name: "row by row (seed)",
    ONE_BY_ONE.name: "only fetch, one by one",
    FETCH.name: "only fetch",
    COPY.name: "only COPY",
}
_BAR_INCHES: Final = 0.27
_GAP: Final = 0.5  # between scenarios, in bars


def draw(results: Measurements, path: Path) -> None:
    """Write a PNG; a logarithmic axis, as contenders are orders of magnitude apart."""
    size = max(case.size for case in results.cases())
    cases = [case for case in results.cases() if case.size == size]
    panels = [list(p) for _, p in groupby(cases, lambda case: case.latency_ms)]
    heights = [_height(panel) for panel in panels]
    figure = Figure(
        figsize=(9.5, sum(heights) * _BAR_INCHES + 1.2 * len(panels) + 0.9),
        layout="constrained",
    )
    figure.suptitle(
        f"Bulk sync of {size:,} Clerk users: users per second, longer is better",
        fontsize=13,
        fontweight="bold",
        x=0.01,
        ha="left",
    )
    rates = [results.users_per_second(case) for case in cases]
    subplots = figure.subplots(
        len(panels), 1, squeeze=False, height_ratios=[h + 2 for h in heights]
    )
    for axes, panel in zip(subplots[:, 0], panels, strict=True):
        _panel(axes, panel, results)
        axes.set_xlim(min(rates) / 1.6, max(rates) * 2.4)
    figure.savefig(path, dpi=160)


def _height(panel: list[Case]) -> float:
    """In bars."""
    scenarios = {case.scenario for case in panel}
    not_done = ORPHANS in scenarios
    return len(panel) + not_done + len(scenarios) + _GAP * (len(scenarios) - 1)


def _panel(axes: Any, panel: list[Case], results: Measurements) -> None:
    """Bars from top to bottom, fastest first, under the name of their scenario."""
    latency_ms = panel[0].latency_ms
    when = f"after {latency_ms} ms" if latency_ms else "at once"
    axes.set_title(f"Clerk answers each page {when}", loc="left", fontsize=11)
    ticks: dict[float, str] = {}
    at = 0.0
    for scenario, grouped in groupby(panel, lambda case: case.scenario):
        _write(axes, at, scenario, fontweight="bold")
        for case in sorted(grouped, key=results.users_per_second, reverse=True):
            at += 1
            rate = results.users_per_second(case)
            axes.barh(at, rate, height=0.78, color=_COLOURS[case.contender])
            axes.text(rate * 1.06, at, _label(rate), va="center", fontsize=8.5)
            ticks[at] = _NAMES.get(case.contender, case.contender)
        if scenario == ORPHANS:
            at += 1
            _write(axes, at, "not done: it deletes nobody", fontsize=8.5)
            ticks[at] = DLT.name
        at += 1 + _GAP
    axes.set_ylim(at - _GAP - 0.4, -0.8)
    _plain(axes, ticks)


def _write(axes: Any, at: float, text: str, **looks: Any) -> None:
    """Where bars begin, wherever that is on the axis."""
    axes.annotate(
        text,
        (0, at),
        xycoords=("axes fraction", "data"),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        **looks,
    )


def _plain(axes: Any, ticks: dict[float, str]) -> None:
    axes.set_xscale("log")
    axes.set_yticks(list(ticks), list(ticks.values()), fontsize=9)
    axes.set_xlabel("users per second (logarithmic)", fontsize=9)
    axes.xaxis.set_major_formatter(lambda rate, _: f"{rate:,.0f}")
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8.5)
    axes.grid(axis="x", which="major", color="#e6e8ec")
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _label(rate: float) -> str:
    return f"{float(f'{rate:.2g}'):,.0f}"
