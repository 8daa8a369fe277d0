"""Proof that the simulation can fail: python -m tests.convergence.mutants

One fault at a time is put into a rule of truth, on a copy of the code in a temporary
folder, and the short campaign of the tests runs on it. On the code as it
is, all must pass. Exit status 1 if a mutant survives, 2 if one can't be made any more.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from tests.convergence.campaign import SHORT
from tests.convergence.mutant import Edit, Mutant
from tests.convergence.mutations import MUTANTS, NAMED
from tests.postgres import postgres_server

_ROOT: Final = Path(__file__).parents[2]
_COPIED: Final = ("layers", "functions", "local", "tests", "events", "pyproject.toml")
_PATIENCE_SECONDS: Final = 600
_LISTS: Final = {"all": MUTANTS, "named": NAMED}


class OutdatedMutantError(Exception):
    """The code has changed, and the mutant must change with it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    mutant: str
    caught: bool
    by: str
    steps: int | None
    seconds: float


def main() -> int:
    arguments = _arguments()
    # Whoever ends this ends the server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    chosen = [m for m in _LISTS[arguments.list] if arguments.only in m.name]
    try:
        for mutant in chosen:
            for edit in mutant.edits:
                _edited(edit)
    except OutdatedMutantError as error:
        print(f"{error}\nFix tests/convergence/mutations.py or mutations_by_test.py.")
        return 2
    print(f"{len(chosen)} mutants, and the code as it is; seed {arguments.seed}")
    with postgres_server() as url, ThreadPoolExecutor(arguments.workers) as pool:
        live = partial(_live, url=url, seed=arguments.seed)
        tests = sorted({mutant.test for mutant in chosen if mutant.test})
        for test in [None, *tests]:
            sound = live(Mutant("the code as it is", (), test))
            if sound.caught:
                print(f"The code as it is fails: {sound.by}")
                return 1
        _print("mutant", "verdict", "steps", "seconds", "by")
        verdicts = pool.map(live, chosen)
        survivors = [verdict for verdict in verdicts if not _tell(verdict)]
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} caught.")
    for mutant in chosen:
        if mutant.test:
            print(f"Not by the campaign: {mutant.name} ({mutant.why}).")
    return 1 if survivors else 0


def _live(mutant: Mutant, *, url: str, seed: int) -> Verdict:
    """Run what should fail, in a process of its own, on a copy with the edits."""
    began = time.monotonic()
    with _copy(mutant.edits) as folder:
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(folder), f"{folder}/layers/clerksync"]),
            "CLERKSYNC_TEST_DATABASE_URL": url,
        }
        short = ["tests.convergence.short", str(seed)]
        pytest = ["pytest", "-q", "-x", "-p", "no:cacheprovider", str(mutant.test)]
        done = subprocess.run(  # noqa: S603 - our own programs
            [sys.executable, "-m", *(pytest if mutant.test else short)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    seconds = time.monotonic() - began
    if mutant.test:
        # 1: tests failed. Anything else says nothing of the mutant.
        if done.returncode not in {0, 1}:
            raise RuntimeError(done.stdout + done.stderr)
        caught, by = done.returncode == 1, mutant.test.split("/")[-1]
        return Verdict(mutant.name, caught, by, None, seconds)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    told = json.loads(done.stdout.splitlines()[-1])
    rule = told["broken_rule"]
    return Verdict(mutant.name, rule is not None, rule or "", told["steps"], seconds)


@contextmanager
def _copy(edits: tuple[Edit, ...]) -> Iterator[Path]:
    """The code in a folder of its own, with the edits in it."""
    with tempfile.TemporaryDirectory(prefix="clerksync-mutant-") as name:
        folder = Path(name)
        for part in _COPIED:
            if (_ROOT / part).is_dir():
                leave = shutil.ignore_patterns("__pycache__")
                shutil.copytree(_ROOT / part, folder / part, ignore=leave)
            else:
                shutil.copy(_ROOT / part, folder / part)
        for edit in edits:
            text = _edited(edit, folder)
            (folder / edit.path).write_text(text, "utf-8")
        yield folder


def _edited(edit: Edit, root: Path = _ROOT) -> str:
    text = (root / edit.path).read_text("utf-8")
    if edit.old not in text:
        raise OutdatedMutantError(f"{edit.path} has no {edit.old!r} any more.")
    return text.replace(edit.old, edit.new)


def _tell(verdict: Verdict) -> bool:
    said = "caught" if verdict.caught else "SURVIVED"
    steps = "-" if verdict.steps is None else f"{verdict.steps:,}"
    _print(verdict.mutant, said, steps, f"{verdict.seconds:.0f}", verdict.by)
    return verdict.caught


def _print(name: str, said: str, steps: str, seconds: str, by: str) -> None:
    print(f"{name:<42} {said:<9} {steps:>6} {seconds:>7}  {by}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.convergence.mutants")
    parser.add_argument("--only", default="", help="those with these words in the name")
    parser.add_argument("--list", choices=_LISTS, default="all")
    parser.add_argument("--seed", type=int, default=SHORT.seed)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
