"""`make bench`: all numbers, measured anew. `make bench BENCH=--help` for less."""

import argparse
import os
import platform
from pathlib import Path
from typing import Final

from benchmarks import bulk_sync, imports, rate_limits, single_user
from benchmarks.measurements import BASELINE
from benchmarks.scenarios import COPY, DLT, DLT_PYTHON, INCREMENTAL, usual_block

_RESULTS: Final = Path(__file__).parent / "results"
_SIZES: Final = (10_000, 100_000)
_MILLION: Final = 1_000_000
_LATENCIES: Final = (0, 200)
_NAMES: Final = sorted(c.name for c in usual_block(0, 0).contenders)
_NEED_CLERKSYNC: Final = {COPY.name, INCREMENTAL.name}


def main() -> None:
    options = _options()
    if options.million:
        size = options.users[0] if options.users else _MILLION
        folder = options.results or (None if options.users else _RESULTS)
        bulk_sync.million(size=size, rounds=options.rounds or 1, folder=folder)
        return
    if not options.bulk_only:
        _small()
    less = options.users or options.latency or options.rounds or options.contenders
    bulk_sync.usual(
        sizes=options.users or _SIZES,
        latencies=_LATENCIES if options.latency is None else options.latency,
        rounds=options.rounds or 5,
        only=frozenset(options.contenders or ()),
        folder=options.results or (None if less else _RESULTS),
    )


def _small() -> None:
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores\n")
    for benchmark in (single_user, rate_limits, imports):
        print(benchmark.__doc__)
        print("\n".join(benchmark.run()), end="\n\n", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench BENCH='…'",
        description="Without options everything but --million runs, and the results "
        "go to benchmarks/results. With fewer users, latencies, rounds or contenders "
        "they are only printed, unless --results names a folder.",
    )
    parser.add_argument(
        "--million",
        action="store_true",
        help="only this: clerksync with a million users, and with a tenth of them",
    )
    parser.add_argument(
        "--users", type=int, nargs="+", metavar="N", help="instead of 10000 100000"
    )
    parser.add_argument(
        "--latency", type=int, nargs="+", metavar="MS", help="instead of 0 200"
    )
    parser.add_argument(
        "--rounds", type=int, metavar="N", help="instead of 5, or of 1 with --million"
    )
    parser.add_argument(
        "--contenders",
        nargs="+",
        choices=_NAMES,
        metavar="NAME",
        help=f"some of: {', '.join(_NAMES)}",
    )
    parser.add_argument(
        "--bulk-only", action="store_true", help="without the small benchmarks"
    )
    parser.add_argument(
        "--results", type=Path, metavar="FOLDER", help="where to write results"
    )
    options = parser.parse_args()
    if options.million and (options.contenders or options.latency):
        parser.error("--million has its own contenders, and no latency")
    chosen = set(options.contenders or _NAMES)
    if chosen & _NEED_CLERKSYNC and BASELINE not in chosen:
        parser.error(f"{sorted(_NEED_CLERKSYNC)} need {BASELINE}")
    if DLT.name in chosen and not options.million and not DLT_PYTHON.exists():
        parser.error("dlt has no environment yet: call make bench, not python")
    return options


if __name__ == "__main__":
    main()
