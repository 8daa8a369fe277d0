"""What a person does at a terminal: start commands, read along, press Ctrl-C."""

import errno
import logging
import os
import pty
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil  # type: ignore[import-untyped] # comes with the embedded Postgres
from typer.testing import CliRunner

from clerksync.observability import logger
from local.cli import app
from local.stack.functions import close_connections

COMMAND = str(Path(sys.executable).with_name("clerksync"))
EVENTS = Path(__file__).parent.parent / "events"
_PATIENCE_SECONDS = 60.0


def clean_environment(**settings: str) -> dict[str, str]:
    """The environment of a shell in which nothing is set but these settings."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | {"LANG": "C.UTF-8"} | settings


def clerksync(
    *arguments: str | Path, cwd: Path, stdin: str = "", **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, its output in pipes."""
    return subprocess.run(  # noqa: S603 - our own command
        [COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=clean_environment(**settings),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=_PATIENCE_SECONDS,
        check=False,
    )


def clerksync_here(
    *arguments: str | Path, cwd: Path, stdin: str = "", **settings: str
) -> subprocess.CompletedProcess[str]:
    """The same in this process, which is quicker, for what needs none of its own.

    Raises what the command would show as a traceback.
    """
    environment, folder, level = dict(os.environ), Path.cwd(), logger.log_level
    try:
        os.environ.clear()
        # What `local` sets when it is imported, which is not done anew.
        settings |= {"POWERTOOLS_METRICS_DISABLED": "true"}
        os.environ.update(clean_environment(**settings))
        os.chdir(cwd)
        logger.setLevel(logging.WARNING)
        done = CliRunner().invoke(app, list(map(str, arguments)), input=stdin)
    finally:
        logger.setLevel(level)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        close_connections()
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    code = done.exit_code
    return subprocess.CompletedProcess(arguments, code, done.stdout, done.stderr)


def clerksync_on_a_terminal(
    *arguments: str, cwd: Path, **settings: str
) -> tuple[int, str]:
    """Exit code, and what the terminal was sent."""
    ours, theirs = pty.openpty()
    terminal = {"TERM": "xterm-256color", "COLUMNS": "100"}
    environment = clean_environment(**terminal | settings)
    with subprocess.Popen(  # noqa: S603 - our own command
        [COMMAND, *arguments],
        cwd=cwd,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        output = b"".join(_chunks(ours))
        os.close(ours)
        code = process.wait(_PATIENCE_SECONDS)
    return code, output.decode()


def _chunks(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            chunk = os.read(terminal, 65_536)
        except OSError as error:
            if error.errno != errno.EIO:  # Linux's way to say that all have hung up
                raise
            return
        if not chunk:
            return
        yield chunk


class Running:
    """A command that is still running; at the end of the block it is not."""

    def __init__(self, *arguments: str, cwd: Path, **settings: str) -> None:
        self.output = ""
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            [COMMAND, *arguments],
            cwd=cwd,
            env=clean_environment(**settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self.tell(signal.SIGTERM)
        self.wait()

    def wait_for(self, text: str) -> str:
        """All output so far, once the text is in it."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while text not in self.output:
            try:
                self.output += self._lines.get(timeout=deadline - time.monotonic())
            except queue.Empty:
                raise AssertionError(f"{text!r} is not in {self.output}") from None
        return self.output

    def tell(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """The exit code; then the output is complete."""
        try:
            code = self._process.wait(_PATIENCE_SECONDS)
        finally:
            self._process.kill()
            self._reader.join()
            if self._process.stdout:
                self._process.stdout.close()
        while not self._lines.empty():
            self.output += self._lines.get()
        return code

    def ports(self) -> list[int]:
        """On which it listens."""
        connections = psutil.Process(self._process.pid).net_connections("tcp")
        return [c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN]

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._lines.put(line)


@contextmanager
def leaving_nothing(folder: Path, command: Running) -> Iterator[None]:
    """Asserts that what the command has started is gone after the block.

    Its servers keep their data under the folder, which tells them from others.
    """
    processes = servers_in(folder)
    ports = command.ports()
    yield
    assert not [process for process in processes if lives(process)]
    assert not servers_in(folder)
    assert not [port for port in ports if listens(port)]


def servers_in(folder: Path) -> list[psutil.Process]:
    """Every process of a Postgres whose data lies in this folder, and its children."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or ()
        if any(str(folder) in argument for argument in command) and lives(process):
            found += [process, *process.children(recursive=True)]
    return found


def lives(process: psutil.Process) -> bool:
    """A container whose first process collects nobody keeps the dead as zombies."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port on which a command can listen, and that the system gives to nobody else.

    Linux lets a server listen on a port that a socket merely holds, if both sockets
    reuse addresses.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether it holds now, or soon."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
