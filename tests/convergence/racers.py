"""Sixteen execution environments: processes that start at one shot."""

import logging
import multiprocessing
import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any, Final

from clerksync.observability import logger

RACERS: Final = 16
_PATIENCE_SECONDS: Final = 180

Job = tuple[str, Mapping[str, Any]]
"""The folder of a function, and the event it is given."""


class Racers:
    """They see the environment variables that are set when this is made."""

    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        barrier = spawn.Barrier(RACERS)
        self._lines: list[Connection] = []
        self._processes = []
        for _ in range(RACERS):
            ours, theirs = spawn.Pipe()
            process = spawn.Process(target=_run, args=(theirs, barrier), daemon=True)
            process.start()
            self._lines.append(ours)
            self._processes.append(process)
        for line in self._lines:
            _heard(line)

    def race(self, jobs: Sequence[Sequence[Job]]) -> list[Any]:
        """What all functions answered; a list of jobs for each process, one by one.

        Raises what any of them raised.
        """
        for line, own in zip(self._lines, jobs, strict=True):
            line.send(list(own))
        answers = [answer for line in self._lines for answer in _heard(line)]
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    def close(self) -> None:
        """Returns when no process has a connection any more."""
        for line in self._lines:
            line.send(None)
        for process in self._processes:
            process.join(_PATIENCE_SECONDS)
            process.kill()
            process.join()


def _heard(line: Connection) -> Any:
    if not line.poll(_PATIENCE_SECONDS):
        raise TimeoutError("a racer does not answer")
    return line.recv()


def _run(line: Connection, barrier: Barrier) -> None:
    os.environ["POWERTOOLS_METRICS_DISABLED"] = "true"
    logger.setLevel(logging.CRITICAL)
    names = ("webhook", "self_sync", "bulk_sync")
    apps = {name: import_module(f"functions.{name}.app") for name in names}
    line.send("ready")
    while (jobs := line.recv()) is not None:
        answers: list[Any] = []
        try:
            barrier.wait(_PATIENCE_SECONDS)
            answers += [apps[name].handler(event, None) for name, event in jobs]
        except Exception as error:  # noqa: BLE001 - raised by who hears of it
            answers.append(error)
        line.send(answers)
    for app in apps.values():
        app.database.close()
