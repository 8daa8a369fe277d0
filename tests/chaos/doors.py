"""Faults while Clerk delivers webhooks and browsers sync, all the time."""

import time
from typing import Final

from tests.chaos.callers import Callers, Calls
from tests.chaos.faults import Fault
from tests.chaos.findings import LONGEST_SECONDS, Finding, statuses
from tests.chaos.rig import Rig

_BEFORE_SECONDS: Final = 1.0
# So long without a failure, and it has recovered.
_CALM_SECONDS: Final = 2.0
_PATIENCE_SECONDS: Final = 30.0
# A webhook is stored or sent again. A browser is told, and asks again.
_ALLOWED: Final = {"webhook": {200, 500}, "self-sync": {200, 500, 503}}


def under_load(rig: Rig, fault: Fault) -> list[Finding]:
    """Let a fault come and go, and look at what the callers got and what is lost."""
    with rig.callers() as callers:
        time.sleep(_BEFORE_SECONDS)
        torn = 0
        with fault.inject(rig):
            time.sleep(fault.seconds)
        healed_at = time.monotonic()
        torn += rig.half_done()
        _wait_for_calm(callers, healed_at)
    lost = len(rig.differences())
    torn += rig.half_done()
    return [
        _finding(fault, "webhook", callers.webhooks, healed_at, lost=lost, torn=torn),
        _finding(fault, "self-sync", callers.self_syncs, healed_at),
    ]


def _wait_for_calm(callers: Callers, healed_at: float) -> None:
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < give_up_at:
        failed_at = max(
            callers.webhooks.last_failure_at, callers.self_syncs.last_failure_at
        )
        if time.monotonic() - max(failed_at, healed_at) > _CALM_SECONDS:
            return
        time.sleep(0.05)


def _finding(
    fault: Fault,
    caller: str,
    calls: Calls,
    healed_at: float,
    *,
    lost: int = 0,
    torn: int = 0,
) -> Finding:
    after = max(0.0, calls.last_failure_at - healed_at)
    broken = []
    if unforeseen := calls.statuses.keys() - _ALLOWED[caller]:
        broken.append(f"answered {sorted(unforeseen, key=str)}")
    if calls.slowest > LONGEST_SECONDS:
        broken.append(f"took more than {LONGEST_SECONDS:.0f} s")
    if not calls.statuses[200]:
        broken.append("never recovered")
    if lost:
        broken.append("lost something")
    if torn:
        broken.append(f"{torn} rows half done")
    failed = calls.statuses.total() - calls.statuses[200]
    return Finding(
        fault.name,
        caller,
        statuses(calls.statuses),
        calls.slowest,
        f"by itself, after {after:.1f} s" if failed else "not noticed",
        lost,
        broken,
    )
