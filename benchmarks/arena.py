"""Where contenders meet: rounds of scenarios, each run measured and checked.

Each contender is a process of its own, with a database of its own on one embedded
Postgres. In a round, all of them meet one scenario before the next one comes, in an
order that rotates from round to round. Each round has a fresh stub Clerk.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.measurements import BASELINE, Case, Run
from benchmarks.scenarios import (
    COPY,
    DLT,
    FIRST,
    INCREMENTAL,
    ROOT,
    Block,
    Contender,
    Scenario,
)
from benchmarks.server import Server
from benchmarks.stub_process import RENAMED, StubProcess, stub_process
from local.stack.embedded_postgres import embedded_postgres

TOO_LONG_SECONDS: Final = 20
"""Who has a longer run in the first round of a block has no second round."""
_PASSED_ON: Final = ("PATH", "LANG", "LC_ALL", "TMPDIR")


@contextmanager
def arena() -> Iterator["Arena"]:
    with (
        embedded_postgres() as url,
        tempfile.TemporaryDirectory(prefix="clerksync-bench-") as folder,
    ):
        yield Arena(Server(url), Path(folder))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """One scenario of one round."""

    block: Block
    round: int
    scenario: Scenario
    clerk: StubProcess
    changed: int


class Arena:
    """Runs blocks. Says on stderr how far it is."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self._folder = folder

    def run(self, block: Block, rounds: int) -> Iterator[Run]:
        """Raises AssertionError when a contender does not store what Clerk has."""
        for contender in block.contenders:
            self._empty_folder(contender)
            if contender.database is not None:
                mapping = None if contender is DLT else contender.mapping
                self.server.create(contender.database, mapping=mapping)
        names = {contender.name for contender in block.contenders}
        for number in range(rounds):
            told = f"{block.size:,} users, {block.latency_ms} ms, round {number + 1}"
            print(f"{told}/{rounds}: the stub starts", file=sys.stderr)
            slow = set()
            with stub_process(block.size) as clerk:
                clerk.delay(block.latency_ms)
                still = block.reduced_to(frozenset(names))
                for run in self._round(still, number, clerk):
                    case = run.case
                    took = f"{case.contender} {run.seconds:.2f} s"
                    print(f"{told}/{rounds}, {case.scenario}: {took}", file=sys.stderr)
                    if run.seconds > TOO_LONG_SECONDS:
                        slow.add(case.contender)
                    yield run
            names -= slow

    def _round(self, block: Block, number: int, clerk: StubProcess) -> Iterator[Run]:
        for scenario in block.scenarios:
            contenders = scenario.contenders
            if INCREMENTAL in contenders:
                # What full runs have left is kept up by an incremental one.
                self.server.clone(BASELINE, "incremental")
            changed = 0
            if scenario.action is not None:
                changed = scenario.count(block.size)
                clerk.change(scenario.action, changed)
            turn = _Turn(
                block=block,
                round=number,
                scenario=scenario,
                clerk=clerk,
                changed=changed,
            )
            first = number % len(contenders)
            for contender in contenders[first:] + contenders[:first]:
                yield self._measured(contender, turn)

    def _measured(self, contender: Contender, turn: _Turn) -> Run:
        server, clerk, database = self.server, turn.clerk, contender.database
        self._make_ready(contender, first_load=turn.scenario.name == FIRST)
        ours = database if contender.module == "clerksync" else None
        if contender.mapping != "default":
            ours = None  # other tables than those that are looked at
        if ours is not None:
            server.remember(ours)
        server.checkpoint()
        requests, wal_bytes = clerk.requests, server.wal_bytes()
        database_cpu = server.cpu_seconds()
        told = self._start(contender, clerk)
        database_cpu = server.cpu_seconds() - database_cpu
        wal_bytes, requests = server.wal_bytes() - wal_bytes, clerk.requests - requests
        self._check(contender, turn, told)
        return Run(
            case=Case(
                size=turn.block.size,
                latency_ms=turn.block.latency_ms,
                scenario=turn.scenario.name,
                contender=contender.name,
            ),
            round=turn.round,
            users=clerk.users,
            changed=turn.changed,
            seconds=told["seconds"],
            cpu_seconds=told.get("cpu_seconds", 0.0),
            database_cpu_seconds=database_cpu,
            requests=requests,
            wal_bytes=wal_bytes,
            peak_memory_mb=told["peak_memory_mb"],
            touched=None if ours is None else server.touched(ours),
            report=told.get("report", {}),
        )

    def _make_ready(self, contender: Contender, *, first_load: bool) -> None:
        """Nothing there before a first load; else what autovacuum would do anyway."""
        database = contender.database
        if database is None:
            return
        if not first_load:
            self.server.vacuum(database)
        elif contender is DLT:
            self.server.create(database, mapping=None)
            self._empty_folder(contender)
        else:
            self.server.truncate(database)
        folder = self._folder / contender.name
        if contender is COPY and not any(folder.iterdir()):
            self.server.export(BASELINE, folder)

    def _empty_folder(self, contender: Contender) -> None:
        folder = self._folder / contender.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()

    def _start(self, contender: Contender, clerk: StubProcess) -> dict[str, Any]:
        """Run a contender to its end; gives the JSON that it told."""
        folder = str(self._folder / contender.name)
        environment = {n: os.environ[n] for n in _PASSED_ON if n in os.environ} | {
            "HOME": folder,
            "BENCHMARK_FOLDER": folder,
            "DATABASE_URL": self.server.url(contender.database or "postgres"),
            "CLERK_API_URL": clerk.url,
            "CLERK_SECRET_KEY": clerk.secret_key,
            "CLERKSYNC_REQUIRE_EMAIL": "false",  # all shall store the same users
            "CLERKSYNC_MAPPING": contender.mapping,
            "CLERKSYNC_SCHEMA": "public",  # where the server has made the tables
            "RUNTIME__DLTHUB_TELEMETRY": "false",
        }
        module = f"benchmarks.contenders.{contender.module}"
        done = subprocess.run(
            [contender.python, "-m", module, *contender.arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{contender.name} failed:\n{done.stderr}")
        told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return told

    def _check(self, contender: Contender, turn: _Turn, told: dict[str, Any]) -> None:
        who, users = f"{contender.name}, {turn.scenario.name}", turn.clerk.users
        status = told.get("report", {}).get("status", "completed")
        assert status == "completed", f"{who}: {told}"
        database, table = contender.database, contender.stores_in
        if database is None or table is None:
            assert told["users"] == users, f"{who}: {told}, Clerk has {users}"
            return
        # A table whose emails are NOT NULL cannot hold everybody.
        without_email = told.get("report", {}).get("skipped", 0)
        stored = self.server.count(database, table) + without_email
        assert stored == users, f"{who}: {stored} users stored, Clerk has {users}"
        if turn.scenario.action == "update":
            like = f"{RENAMED}%"
            stored = self.server.count(database, table, first_name_like=like)
            assert stored == turn.changed, f"{who}: {stored} of {turn.changed} changes"
