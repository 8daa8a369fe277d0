"""What a fault did, and whether a promise was broken."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

LONGEST_SECONDS: Final = 10.0
"""Within so many a webhook and a self-sync always have their answer."""


@dataclass(frozen=True, slots=True)
class Finding:
    fault: str
    caller: str
    """Who called: webhook, self-sync or bulk sync."""
    got: str
    """Statuses and how often, or how a run ended."""
    slowest: float
    """The longest that a caller waited, in seconds."""
    recovery: str
    """What made it good again, and how long after the end of the fault."""
    lost: int = 0
    """Users that differ from Clerk after the recovery."""
    broken: Sequence[str] = field(default=())
    """Promises that were not kept, in words."""


def statuses(counted: Counter[int | None]) -> str:
    """`12 of 200, 3 of 500`; without an answer, `killed`."""
    return ", ".join(
        f"{count:,} of {status or 'killed'}"
        for status, count in sorted(counted.items(), key=lambda item: item[0] or 999)
    )


def table(findings: Iterable[Finding]) -> list[str]:
    """As Markdown."""
    head = ("fault", "caller", "got", "slowest, s", "recovered", "lost", "")
    lines = [f"| {' | '.join(head)} |", "|---|---|---|---:|---|---:|---|"]
    for finding in findings:
        cells = (
            finding.fault,
            finding.caller,
            finding.got,
            f"{finding.slowest:.1f}",
            finding.recovery,
            str(finding.lost),
            "; ".join(finding.broken) or "as promised",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines
