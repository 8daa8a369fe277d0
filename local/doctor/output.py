"""How findings are shown."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from local.doctor.check_runner import Finding, Level
from local.doctor.checks import CHECKS

_COLOURS: Final = {"ok": "green", "warning": "yellow", "wrong": "red", "skipped": "dim"}
_LEVEL_WIDTH: Final = max(map(len, _COLOURS))
_WORST_FIRST: Final[tuple[Level, ...]] = ("wrong", "warning", "skipped", "ok")
_CHECK_WIDTH: Final = max(len(check.name) for check in CHECKS)


def show_findings(console: Console, findings: Iterable[Finding]) -> list[Finding]:
    """One by one, as they are found; in a pipe one line each, however long."""
    shown = []
    for finding in findings:
        shown.append(finding)
        level = Text(finding.level.ljust(_LEVEL_WIDTH), _COLOURS[finding.level])
        check = finding.check.ljust(_CHECK_WIDTH)
        if console.is_terminal:
            line = Table.grid(padding=(0, 2, 0, 0))
            line.add_row(level, check, Text(finding.message))
            console.print(line)
        else:
            text = f"{level}  {check}  {finding.message}"
            console.print(text, soft_wrap=True, markup=False, highlight=False)
    return shown


def show_summary(console: Console, findings: Iterable[Finding]) -> None:
    """How many there are of each level, the worst first."""
    counts = Counter(finding.level for finding in findings)
    told = [f"{counts[level]} {level}" for level in _WORST_FIRST if counts[level]]
    console.print(f"\n{', '.join(told)}", highlight=False)
