"""AWS's own Runtime Interface Emulator, without Docker: one function, started anew."""

import json
import os
import platform
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import IO, Any, Final

from benchmarks.scenarios import ROOT

RUNTIME_PYTHON: Final = ROOT / ".venv-ric" / "bin" / "python"
_INVOKE: Final = "/2015-03-31/functions/function/invocations"
_ARCHITECTURE: Final = {"aarch64": "arm64", "arm64": "arm64"}
_PATIENCE_SECONDS: Final = 60


def emulator() -> Path:
    """aws-sam-cli ships it. Raises FileNotFoundError where that is not installed."""
    name = f"aws-lambda-rie-{_ARCHITECTURE.get(platform.machine(), 'x86_64')}"
    for found in ROOT.glob(f".venv-sam/lib/*/site-packages/samcli/local/rapid/{name}"):
        found.chmod(0o755)
        return found
    raise FileNotFoundError(f"{name} is not there: call make bench-cold, not python")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What Lambda knows of a function."""

    folder: Path
    """/var/task."""
    layers: Sequence[Path]
    """/opt/python, and whatever else comes before the runtime's own packages."""
    handler: str = "app.handler"
    environment: Mapping[str, str]


class Emulated:
    """A function that nobody has called yet: the first call starts its process."""

    def __init__(self, port: int, log: IO[str]) -> None:
        self._port = port
        self._log = log

    def invoke(self, event: Mapping[str, Any]) -> tuple[float, Any]:
        """Milliseconds from the request to its answer, and the answer."""
        body = json.dumps(event).encode()
        connection = HTTPConnection("127.0.0.1", self._port, timeout=_PATIENCE_SECONDS)
        began = time.perf_counter()
        connection.request("POST", _INVOKE, body)
        answer = connection.getresponse().read()
        elapsed = (time.perf_counter() - began) * 1000
        connection.close()
        found = json.loads(answer)
        if isinstance(found, dict) and "errorType" in found:
            raise RuntimeError(f"{found}\n{self.log()}")
        return elapsed, found

    def log(self) -> str:
        self._log.seek(0)
        return self._log.read()[-3000:]


@contextmanager
def emulated(deployment: Deployment) -> Iterator[Emulated]:
    """The emulator of a function, ready for the first request."""
    port, api = _free_ports()
    command = [
        str(emulator()),
        *("--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
        *("--runtime-api-address", f"127.0.0.1:{api}"),
        *(str(RUNTIME_PYTHON), "-m", "awslambdaric", deployment.handler),
    ]
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            command,
            cwd=deployment.folder,
            env=_environment(deployment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as process,
    ):
        try:
            _wait_for(port)
            yield Emulated(port, log)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def _environment(deployment: Deployment) -> dict[str, str]:
    """Lambda's, with credentials that nobody checks. Nothing of this machine's."""
    return {
        "PATH": os.environ["PATH"],
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "HOME": "/nonexistent",
        "LAMBDA_TASK_ROOT": str(deployment.folder),
        "_HANDLER": deployment.handler,
        # Functions come before layers, layers before the runtime, as in Lambda.
        "PYTHONPATH": os.pathsep.join(map(str, deployment.layers)),
        # /var/task and /opt cannot be written to.
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_LAMBDA_FUNCTION_NAME": "cold-start",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(_PATIENCE_SECONDS),
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "invented",
        "AWS_SESSION_TOKEN": "invented",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        **deployment.environment,
    }


def _free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def _wait_for(port: int) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return
