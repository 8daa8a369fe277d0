"""What the commands print, and a sample event for them."""

import json
import subprocess
from typing import Any

from tests.terminal import (
    EVENTS,
)

CREATED = EVENTS / "user_created.json"
MIRA = "user_2x0iqy5a2csrtTDuShPB6LKCwD5"


def summary(output: str) -> dict[str, int]:
    """The numbers at the end of a run: nothing comes after them."""
    lines = output.splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("fetched "))
    pairs = (line.split() for line in lines[first:])
    return {name: int(number) for name, number in pairs}


def answered(done: subprocess.CompletedProcess[str]) -> tuple[int, Any]:
    """Status and body of a function behind HTTP."""
    answer = json.loads(done.stdout)
    return answer["statusCode"], json.loads(answer["body"])
