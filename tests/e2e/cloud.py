"""An AWS of our own: ministack on a free port of the loopback, for one test run."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import boto3

ROOT: Final = Path(__file__).parents[2]
SAM: Final = ROOT / ".venv-sam"
_PYTHON: Final = ROOT / ".venv-ministack" / "bin" / "python"
_REGION: Final = "eu-central-1"
_KEYS: Final = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": _REGION,
}
_PATIENCE_SECONDS: Final = 30


@dataclass(frozen=True)
class Cloud:
    port: int
    folder: Path
    """For everything that is written; gone at the end."""

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name=_REGION,
            aws_access_key_id=_KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=_KEYS["AWS_SECRET_ACCESS_KEY"],
        )

    def sam(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run sam against this cloud; what it says comes in stdout."""
        settings = {
            **clean_environment(self.folder),
            **_KEYS,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "SAM_CLI_POLL_DELAY": "1",
            "SAM_CLI_TELEMETRY": "0",
        }
        return subprocess.run(  # noqa: S603 - our own command
            [SAM / "bin" / "sam", *arguments],
            cwd=ROOT,
            env=settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=180,
        )

    def log(self, lines: int = 40) -> str:
        """The end of what ministack wrote."""
        text = (self.folder / "ministack.log").read_text("utf-8", "replace")
        return "\n".join(text.splitlines()[-lines:])


def clean_environment(folder: Path) -> dict[str, str]:
    """Nothing of the shell's settings, and nothing of the user's files."""
    names = ("PATH", "LANG", "LC_ALL")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return {**kept, "HOME": str(folder), "TMPDIR": str(folder)}


@contextmanager
def running_cloud(folder: Path) -> Iterator[Cloud]:
    """Roles and policies are enforced, as on AWS."""
    cloud = Cloud(_free_port(), folder)
    with (
        (folder / "ministack.log").open("w") as log,
        _ministack(cloud.port, folder, log) as process,
    ):
        try:
            _wait_for(cloud, process)
            yield cloud
        finally:
            _stop(process)


def _ministack(port: int, folder: Path, log: IO[str]) -> subprocess.Popen[bytes]:
    settings = {
        **clean_environment(folder),
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "LAMBDA_EXECUTOR": "local",
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": _REGION,
        "STATE_DIR": str(folder / "state"),
        # Two servers more, on ports of their own.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }
    (packages,) = SAM.glob("lib/python*/site-packages")
    program = Path(__file__).with_name("run_ministack.py")
    return subprocess.Popen(  # noqa: S603 - our own command
        [_PYTHON, program, packages],
        cwd=folder,
        env=settings,
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        # Ctrl-C is for us; it is stopped when we have done with it.
        start_new_session=True,
    )


def _wait_for(cloud: Cloud, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", cloud.port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"ministack does not answer:\n{cloud.log()}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
