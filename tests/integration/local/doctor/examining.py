"""`clerksync doctor`, and what it found."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.doors import assert_tells_nothing_private
from tests.terminal import clerksync_here


@dataclass(frozen=True)
class Examined:
    code: int
    findings: list[dict[str, Any]]

    def of(self, check: str) -> list[tuple[str, str]]:
        """Level and message of each finding of a check."""
        found = [f for f in self.findings if f["check"] == check]
        return [(f["level"], f["message"]) for f in found]

    def one(self, check: str) -> tuple[str, str]:
        """The only finding of a check."""
        (finding,) = self.of(check)
        return finding

    def level(self, check: str) -> str:
        return self.one(check)[0]

    @property
    def wrong(self) -> set[str]:
        return {f["check"] for f in self.findings if f["level"] == "wrong"}


@dataclass
class Doctor:
    """Examines a setup, after the changes that a test makes to its settings."""

    folder: Path
    settings: dict[str, str]

    def run(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        settings = self.settings | changes
        done = clerksync_here("doctor", *arguments, cwd=self.folder, **settings)
        for output in (done.stdout, done.stderr):
            assert_tells_nothing_private(output, "somebody")
        return done

    def __call__(self, **changes: str) -> Examined:
        done = self.run("--json", **changes)
        told = json.loads(done.stdout)
        assert told.keys() == {"ok", "findings"}
        examined = Examined(done.returncode, told["findings"])
        assert told["ok"] == (examined.code == 0) == (not examined.wrong)
        return examined
