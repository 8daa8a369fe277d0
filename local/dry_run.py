"""What a dry run would change, by name: the first of each kind, and all in a file."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Final, Self

from rich.console import Console

from clerksync.write.outcome import Change
from local.progress import counted

_HEADINGS: Final = {
    "created": "would be created",
    "updated": "would be updated",
    "deleted": "would be deleted",
    "held_back": "would be held back: a row without their Clerk ID has their email",
}
_SHOWN: Final = 20


class Changes:
    """Changes as they are found. All are in a file, so that memory stays small."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.counts: Counter[str] = Counter()
        self.first: dict[str, list[Change]] = {}
        """The first 20 of each kind."""

    @classmethod
    @contextmanager
    def collected(cls, path: Path | None) -> Iterator[Self]:
        """Collect changes in the file at `path`, a JSON object a line, or in one that
        goes when it is closed. Raises OSError if the file cannot be written."""
        if path is None:
            with TemporaryFile("w+", encoding="utf-8") as file:
                yield cls(file)
        else:
            with path.open("w+", encoding="utf-8") as file:
                yield cls(file)

    def add(self, change: Change) -> None:
        line: dict[str, Any] = {"action": change.action, "id": change.clerk_id}
        if change.action == "updated":
            line["columns"] = change.columns
        self._file.write(f"{json.dumps(line)}\n")
        self.counts[change.action] += 1
        first = self.first.setdefault(change.action, [])
        if len(first) < _SHOWN:
            first.append(change)

    def json_parts(self, report: Mapping[str, Any]) -> Iterator[str]:
        """One JSON object in pieces: the report, and every change as `changes`."""
        yield f'{json.dumps(report)[:-1]}, "changes": ['
        self._file.seek(0)
        for number, line in enumerate(self._file):
            yield f"{', ' if number else ''}{line.rstrip()}"
        yield "]}"


def show_changes(console: Console, changes: Changes) -> None:
    """Show the first 20 users of each kind, and what the dry run has not done."""
    for action, heading in _HEADINGS.items():
        count = changes.counts[action]
        if not count:
            continue
        _say(console, f"{counted(count, 'user')} {heading}.")
        first = changes.first[action]
        for change in first:
            columns = f"  {', '.join(change.columns)}" if change.columns else ""
            _say(console, f"  {change.clerk_id}{columns}")
        if count > len(first):
            more = f"  … and {count - len(first):,} more: --out FILE or --json has all."
            _say(console, more)
    _say(
        console,
        "This was a dry run: it wrote nothing except its own line in sync_runs, and it "
        "cannot foresee which rows a constraint or trigger of the table would refuse.",
    )


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
