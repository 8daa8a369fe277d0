"""`make chaos`: every promise of docs/reliability.md, put to the test for long."""

import argparse
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.machine import measured_by
from tests.chaos import bulk, doors, guards
from tests.chaos.clerk_faults import clerk_faults
from tests.chaos.database_faults import database_faults, may_mount
from tests.chaos.faults import Fault, network_faults
from tests.chaos.findings import Finding, table
from tests.chaos.kills import killed
from tests.chaos.rig import Rig, assembled
from tests.chaos.versions import versions

_RESULTS: Final = Path(__file__).parent / "results"
_PARTS: Final = ("convergence", "doors", "bulk", "strangers")
_TITLES: Final = {"doors": "callers of the functions", "bulk": "bulk sync"}
# What no line of a log may hold: addresses and tokens, whoever's they are.
_PRIVATE: Final = re.compile(
    r".{0,20}(?:@\w|eyJ|whsec_\w|sk_(?:test|live)_|Changed\d|moved\d)"
)
_ID: Final = re.compile(r"\buser_[A-Za-z0-9]{27}\b")


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    users: int
    steps: int
    kills: int
    requests: int


_WHOLE: Final = Size(users=10_000, steps=100_000, kills=200, requests=50_000)
_QUICK: Final = Size(users=2_000, steps=2_000, kills=10, requests=2_000)
# A quick run leaves out what takes a minute and shows nothing of its own.
_QUICK_LEAVES_OUT: Final = (
    "power cut",
    "silent in the middle",
    "SIGSTOP",
    "slow",
    "35 s",
)

Disturb = Callable[[Rig, Sequence[Fault], Size], Iterator[Finding]]


def main() -> None:
    # However it is told to end, what it started ends with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = _options()
    size = _QUICK if options.quick else _WHOLE
    parts: Sequence[str] = options.only or _PARTS
    began, broken = time.monotonic(), []
    if "convergence" in parts and _run("tests.convergence", "--steps", size.steps):
        broken.append("convergence")
    for part, disturb in {"doors": _doors, "bulk": _bulk}.items():
        if part in parts:
            findings = _faults(part, disturb, size, quick=options.quick)
            broken += [finding.fault for finding in findings if finding.broken]
    if "strangers" in parts:
        table_of_attacks = (
            [] if options.quick else ["--attacks", _RESULTS / "attacks.md"]
        )
        if _run("tests.strangers", "--requests", size.requests, *table_of_attacks):
            broken.append("strangers")
    minutes = (time.monotonic() - began) / 60
    if broken:
        print(f"\nAfter {minutes:.0f} minutes: {len(broken)} promises broken: ", end="")
        sys.exit("; ".join(broken))
    print(f"\nEvery promise was kept, in {minutes:.0f} minutes.")


def _faults(part: str, disturb: Disturb, size: Size, *, quick: bool) -> list[Finding]:
    """All faults of a part, told one by one; those of a whole run are written down."""
    findings: list[Finding] = []
    with assembled(users=size.users) as rig:
        print("\n" + "\n".join(table([])), flush=True)
        bulk.BulkRun(rig).end()
        database = database_faults(mounted=may_mount(rig.folder / "may_mount"))
        faults = [
            *database,
            *network_faults("Postgres", lambda rig: rig.database_proxy),
            *clerk_faults(),
            *network_faults("Clerk", lambda rig: rig.clerk_proxy),
        ]
        if quick:
            left_out = _QUICK_LEAVES_OUT
            faults = [f for f in faults if not any(x in f.name for x in left_out)]
        else:
            faults.append(_silent_for_longer(faults))
        for finding in disturb(rig, faults, size):
            findings.append(finding)
            print(table([finding])[-1], flush=True)
        findings.append(_of_the_log(rig.log))
        print(table(findings)[-1], flush=True)
        with rig.server.connected() as connection:
            head = measured_by(f"make chaos, {part}", versions(connection))
    if not quick:
        title = f"# Faults, and the {_TITLES[part]}"
        lines = [title, "", *head, "", *table(findings), ""]
        (_RESULTS / f"{part}.md").write_text("\n".join(lines), "utf-8")
    return findings


def _doors(rig: Rig, faults: Sequence[Fault], _: Size) -> Iterator[Finding]:
    for fault in faults:
        yield from doors.under_load(rig, fault)
        rig.heal()
    yield from guards.cold_without_secrets(rig)
    yield from guards.certificates(rig)


def _bulk(rig: Rig, faults: Sequence[Fault], size: Size) -> Iterator[Finding]:
    for fault in faults:
        yield bulk.under_fault(rig, fault)
    yield from guards.not_believed(rig)
    yield killed(rig, times=size.kills)


def _silent_for_longer(faults: list[Fault]) -> Fault:
    """Than a bulk run waits for an answer of Clerk."""
    (silent,) = (f for f in faults if f.name == "Clerk: silent in the middle")
    return Fault("Clerk: silent in the middle, for 35 s", silent.inject, 35)


def _of_the_log(log: str) -> Finding:
    # By chance, an id can have any of it in itself.
    found = sorted({match[0] for match in _PRIVATE.finditer(_ID.sub("", log))})
    return Finding(
        "all of the above, in the log",
        "whoever reads it",
        f"{log.count(chr(10)):,} lines",
        0,
        "nothing to recover",
        0,
        [f"it says {found[:3]}"] if found else [],
    )


def _run(module: str, *options: object) -> int:
    arguments = [module, *map(str, options)]
    print(f"\npython -m {module} {options[0]} {options[1]}\n", flush=True)
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, check=False).returncode


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos CHAOS='…'")
    parser.add_argument("--quick", action="store_true", help="a few minutes' worth")
    parser.add_argument(
        "--only", nargs="+", choices=_PARTS, metavar="PART", help=", ".join(_PARTS)
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
