"""Many thousand steps, on all cores: python -m tests.convergence --steps 100000

Histories are told in rounds with a seed each. A round in which a rule breaks prints its
seed and the shortest history that breaks it; the same seed tells the same histories.
"""

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.context import SpawnProcess
from queue import Empty
from typing import Any, Final

from tests.convergence.campaign import Result, work_rounds
from tests.postgres import postgres_server

_PROGRESS_SECONDS: Final = 10.0
_FAULTS: Final = (
    "connections cut before",
    "connections cut within",
    "connections cut meanwhile",
    "connections cut after",
    "idle connections ended",
    "answers of Clerk broken",
    "deadlines",
    "overtaken",
    "old listings",
    "pairs of bulk runs",
    "other instances",
    "restores",
    "walks resumed after a restore",
)


def main() -> int:
    arguments = _arguments()
    # Whoever ends this ends the workers and their server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    began = told_at = time.monotonic()
    tally: Counter[str] = Counter()
    with postgres_server() as url:
        for seed, result in _rounds(url, arguments):
            tally += result.tally
            if result.broken_rule is not None:
                _tell_failure(result, seed, tally, as_json=arguments.json)
                return 1
            if time.monotonic() - told_at > _PROGRESS_SECONDS and not arguments.json:
                told_at = time.monotonic()
                _tell(tally, told_at - began)
    if arguments.json:
        print(json.dumps({"steps": tally["steps"], "histories": tally["histories"]}))
        return 0
    _tell(tally, time.monotonic() - began)
    print(f"No rule was broken. Seeds from {arguments.seed} on. What went wrong:")
    for fault, times in faults(tally).items():
        print(f"{times:>9,}  {fault}")
    return 0


def faults(tally: Counter[str]) -> dict[str, int]:
    """How often what went wrong on purpose."""
    return {
        fault: sum(times for name, times in tally.items() if name.startswith(fault))
        for fault in _FAULTS
    }


def _rounds(url: str, arguments: argparse.Namespace) -> Iterator[tuple[int, Result]]:
    """What came of each round, until there are enough steps or a rule is broken."""
    spawn = multiprocessing.get_context("spawn")
    seeds, results = spawn.Queue(), spawn.Queue()
    given = (url, seeds, results, arguments.shrink)
    workers = [
        spawn.Process(target=work_rounds, args=given) for _ in range(arguments.workers)
    ]
    next_seed = arguments.seed
    try:
        for worker in workers:
            worker.start()
            seeds.put(next_seed)
            next_seed += 1
        running, steps = len(workers), 0
        while running:
            seed, result = _next(results, workers)
            yield seed, result
            steps += result.tally["steps"]
            enough = steps >= arguments.steps
            running -= enough
            seeds.put(None if enough else next_seed)
            next_seed += 1
        for worker in workers:
            worker.join()
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()


def _next(results: Any, workers: list[SpawnProcess]) -> tuple[int, Result]:
    while True:
        try:
            result: tuple[int, Result] = results.get(timeout=1)
        except Empty:
            if all(worker.exitcode is not None for worker in workers):
                raise SystemExit("The workers ended without a word.") from None
        else:
            return result


def _tell(tally: Counter[str], seconds: float) -> None:
    counted = ("histories", "deliveries", "self-syncs", "bulk runs")
    told = ", ".join(f"{tally[name]:,} {name}" for name in counted)
    failed = sum(faults(tally).values())
    rate = tally["steps"] / seconds
    print(
        f"{tally['steps']:,} steps in {seconds:.0f} s ({rate:.0f}/s): {told};"
        f" {failed:,} faults",
        flush=True,
    )


def _tell_failure(
    result: Result, seed: int, tally: Counter[str], *, as_json: bool
) -> None:
    at_step = tally["steps"] - result.tally["steps"] + result.at_step
    if as_json:
        failure = {"broken_rule": result.broken_rule, "steps": at_step, "seed": seed}
        print(json.dumps(failure))
        return
    print(result.story)
    print(f"{result.broken_rule}: broken at step {at_step:,}. Again, and only that:")
    print(f"    python -m tests.convergence --workers 1 --steps 1 --seed {seed}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.convergence")
    parser.add_argument("--steps", type=int, default=100_000, help="at least so many")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--no-shrink", dest="shrink", action="store_false")
    parser.add_argument("--json", action="store_true", help="one line, at the end")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
