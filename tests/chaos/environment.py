"""An execution environment: a process that has loaded the functions, and stays warm.

`python -m tests.chaos.environment` takes a line of JSON for each invocation and gives
one for each answer. What the functions print, as Lambda's log gets it, goes to standard
error.
"""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Self

# Of the functions behind the API, in template.yaml: then Lambda kills them.
_LAMBDA_SECONDS: Final = 14.0
_START_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int | None
    """None when Lambda would have killed the function."""
    seconds: float
    """From the call to the answer, as API Gateway sees it."""
    body: Any = None


class Environment:
    """One request at a time, from one thread; a context manager."""

    def __init__(self, settings: Mapping[str, str], *, log: Path) -> None:
        self._settings = settings
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def invoke(self, function: str, event: Mapping[str, Any]) -> Answer:
        """Call a function; where it takes too long the environment is killed, and the
        next call finds a cold one."""
        process = self._process or self._start()
        assert process.stdin is not None
        began = time.monotonic()
        process.stdin.write(json.dumps([function, event]).encode() + b"\n")
        process.stdin.flush()
        line = self._line(process, _LAMBDA_SECONDS)
        seconds = time.monotonic() - began
        if line is None:
            self._end()
            return Answer(None, seconds)
        status, body = json.loads(line)
        return Answer(status, seconds, body)

    def _start(self) -> subprocess.Popen[bytes]:
        kept = {
            name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ
        }
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.environment"],
                env=kept | {"LANG": "C.UTF-8"} | dict(self._settings),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
            )
        if self._line(self._process, _START_SECONDS) is None:
            raise RuntimeError("an execution environment did not start")
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _line(self, process: subprocess.Popen[bytes], seconds: float) -> bytes | None:
        """None when there was none in time, or the process has ended."""
        assert process.stdout is not None
        line, until = b"", time.monotonic() + seconds
        while not line.endswith(b"\n"):
            left = max(0.0, until - time.monotonic())
            if not select.select([process.stdout], [], [], left)[0]:
                return None
            chunk = os.read(process.stdout.fileno(), 1 << 20)
            if not chunk:
                return None
            line += chunk
        return line


def main() -> None:
    """Answer until standard input ends."""
    # The functions print where Lambda reads their log: that is not for the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    functions = {
        name: import_module(f"functions.{name}.app").handler
        for name in ("webhook", "self_sync")
    }
    print("ready", file=answers)
    for line in sys.stdin:
        name, event = json.loads(line)
        payload = functions[name](event, None)
        answer = [payload["statusCode"], json.loads(payload["body"])]
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()
