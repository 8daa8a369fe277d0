"""Bulk sync against what others do, and against what cannot be beaten."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.arena import TOO_LONG_SECONDS, arena
from benchmarks.chart import draw
from benchmarks.goals import Goal, million_goals, usual_goals
from benchmarks.machine import described
from benchmarks.measurements import Measurements, Run
from benchmarks.results_table import goals_table, sections
from benchmarks.scenarios import Block, million_block, usual_block

_OTHERS: Final = """\
- `seed`: the usual glue code. Pages of 100; for each user a SELECT, then an INSERT or
  an UPDATE, each a commit; in the end a DELETE for each user who was not listed.
- `dlt`: its REST API source, pages of 500, merged by id. It deletes nobody.
"""
_OF_A_MILLION: Final = """\
What a user of a first load costs more at a million is Postgres's own work, on larger
indexes and with checkpoints on the way: `copy`, which does nothing else, grows more.

"""
_WHO_AND_HOW: Final = f"""\
- `clerksync`: the bulk sync function, in mode full unless `incremental` or `cleanup`
  stands beside it. `Prisma's table` is another target, described by the mapping
  `prisma`: ids of its own, credits beside the users, emails NOT NULL.
- `fetch`: a limit. Fetches and decodes as clerksync does, and writes nothing.
- `one by one`: the same with one cursor, 500 a page, each page after the other.
- `copy`: a limit. COPY of the rows that clerksync wrote to `users`, `rate_limits` and
  `sync_state` into empty tables with all their indexes.

Seconds are those of the work, measured within the contender's process: its start and
its imports are left out. Each contender is a process of its own, with a database of its
own on one embedded Postgres, as it comes. The stub Clerk runs beside them, on the same
cores, and is fresh in each round. Before each run there is a CHECKPOINT and, but for
first loads, a VACUUM ANALYZE. Contenders take turns within a round, in an order that
rotates.

Figures are medians of n rounds, ratios medians of the rounds' own ratios. Who takes
more than {TOO_LONG_SECONDS} s for anything at one size and latency has one round there.
Rows touched are those written, locked or deleted, of users + rate_limits + sync_state,
in the worst round. CPU is that of the contender's own process, Postgres CPU that of all
its connections; the stub's is not counted. Peak is the process's largest resident
memory. WAL after a checkpoint holds full-page images.

The goal for a run without change is not reached, and can't be by one interpreter: the
CPU time of clerksync's process alone is more than the limit, though it writes nothing.
Reading and decoding, which `fetch` does too, is the larger part of it; the rest is
making a row of each user, so that Postgres can compare all columns and not only the
version. A second interpreter would not do on two cores: clerksync, Postgres and the
stub Clerk together have more to do there than two cores can in that time.

All store users without an email too (`CLERKSYNC_REQUIRE_EMAIL=false`), and whoever does
not store in the end what Clerk has fails the benchmark."""


def usual(
    *,
    sizes: Sequence[int],
    latencies: Sequence[int],
    rounds: int,
    only: frozenset[str],
    folder: Path | None,
) -> None:
    """All contenders, or `only` some. Without a folder it only prints."""
    chosen = [usual_block(size, ms) for size in sizes for ms in latencies]
    if only:
        chosen = [block.reduced_to(only) for block in chosen]
    results, facts = _measured(chosen, rounds)
    picture = "![users per second](bulk-sync.png)"
    goals = usual_goals(results)
    lines = _document("Bulk sync, side by side", facts, goals, results, _OTHERS)
    if folder is not None:
        _write(folder / "bulk-sync.md", [*lines[:2], picture, "", *lines[2:]])
        draw(results, folder / "bulk-sync.png")


def million(*, size: int, rounds: int, folder: Path | None) -> None:
    """clerksync alone, at this size and at a tenth of it."""
    small = size // 10
    results, facts = _measured([million_block(small), million_block(size)], rounds)
    goals = million_goals(results, small=small, large=size)
    title = f"Bulk sync of {size:,} users"
    lines = _document(title, facts, goals, results, _OF_A_MILLION)
    if folder is not None:
        _write(folder / "bulk-sync-1m.md", lines)


def _measured(chosen: Iterable[Block], rounds: int) -> tuple[Measurements, list[str]]:
    """All runs, and on what; prints the tables of each block when it is done."""
    runs: list[Run] = []
    with arena() as place:
        for block in chosen:
            of_block = list(place.run(block, rounds))
            for lines in sections(Measurements(of_block)):
                print("\n".join(lines), end="\n\n", flush=True)
            runs += of_block
        return Measurements(runs), described(place.server.version())


def _document(
    title: str,
    facts: Iterable[str],
    goals: Iterable[Goal],
    results: Measurements,
    others: str = "",
) -> list[str]:
    """The whole file. Prints what was not printed yet: the facts and the goals."""
    reached = goals_table(goals)
    print("\n".join([*facts, "", *reached]), end="\n\n", flush=True)
    lines = [f"# {title}", "", *facts, "", "## Goals", "", *reached]
    for section in sections(results):
        lines += ["", *section]
    return [*lines, "", "## Who and how", "", *(others + _WHO_AND_HOW).splitlines()]


def _write(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", "utf-8")
    print(f"written: {path.name}", file=sys.stderr)
