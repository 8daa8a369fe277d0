"""An embedded Postgres that is stopped, killed and frozen by the ids of its processes.

It is started and ended by this process and no other; nothing else is touched.
"""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Literal
from urllib.parse import parse_qs, urlsplit

import psutil  # type: ignore[import-untyped] # comes with the embedded Postgres
import psycopg
from psycopg.conninfo import make_conninfo

from local.stack.embedded_postgres import embedded_postgres

_PATIENCE_SECONDS: Final = 60


class Server:
    """A running server, by its URL on a Unix socket."""

    def __init__(self, url: str) -> None:
        self.url = url
        folder = parse_qs(urlsplit(url).query)["host"][0]
        self.socket = f"{folder}/.s.PGSQL.5432"
        with self.connected() as connection:
            row = connection.execute("SHOW data_directory").fetchone()
        assert row is not None
        self.data = Path(row[0])
        # As it was started: the same program, user and options again.
        postmaster = psutil.Process(self.pid)
        self._pg_ctl = Path(postmaster.exe()).with_name("pg_ctl")
        self._user = postmaster.uids().effective
        self._options = f'-h "" -k {folder}'

    @property
    def pid(self) -> int:
        return int((self.data / "postmaster.pid").read_text().split()[0])

    @property
    def is_running(self) -> bool:
        try:
            return bool(psutil.pid_exists(self.pid))
        except OSError:
            return False

    @contextmanager
    def connected(self, database: str = "postgres") -> Iterator[psycopg.Connection]:
        """By the socket itself, past any proxy, as the superuser."""
        url = make_conninfo(self.url, dbname=database)
        with psycopg.connect(url, autocommit=True) as connection:
            yield connection

    def execute(self, *statements: str, database: str = "postgres") -> None:
        with self.connected(database) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def own(self, folder: Path) -> None:
        """Make a folder that the server may write to."""
        folder.mkdir()
        if os.geteuid() == 0:
            os.chown(folder, self._user, -1)

    def ask_for_password(self, role: str) -> None:
        """Everybody else is trusted, as before."""
        file = self.data / "pg_hba.conf"
        file.write_text(f"local all {role} scram-sha-256\n{file.read_text()}")
        self.execute("SELECT pg_reload_conf()")

    def stop(self, mode: Literal["smart", "fast", "immediate"]) -> None:
        """`immediate` leaves recovery to the next start, as a power cut does."""
        self._control("stop", "-m", mode)

    def start(self) -> None:
        log = str(self.data / "log")
        self._control("start", "-l", log, "-o", self._options)

    def kill(self) -> None:
        """SIGKILL for the postmaster; its children notice and end by themselves."""
        family = self._family()
        os.kill(family[0].pid, signal.SIGKILL)
        psutil.wait_procs(family, timeout=_PATIENCE_SECONDS)

    def kill_backend(self) -> bool:
        """SIGKILL for one that serves clerksync: all others are ended by the server,
        which recovers. False when there is none."""
        with self.connected() as connection:
            row = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'clerksync'"
                " ORDER BY state <> 'active', random() LIMIT 1"
            ).fetchone()
        if row is None:
            return False
        with suppress(ProcessLookupError):
            os.kill(row[0], signal.SIGKILL)
        return True

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Every process of it stands still; its kernel goes on to take connections."""
        family = self._family()
        for process in family:
            process.suspend()
        try:
            yield
        finally:
            for process in family:
                with suppress(psutil.NoSuchProcess):
                    process.resume()

    def wait(self) -> None:
        """Until it lets somebody in."""
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                with self.connected():
                    return
            except psycopg.OperationalError:
                if time.monotonic() > give_up_at:
                    raise
                time.sleep(0.05)

    def _family(self) -> list[psutil.Process]:
        postmaster = psutil.Process(self.pid)
        return [postmaster, *postmaster.children(recursive=True)]

    def _control(self, what: str, *options: str) -> None:
        # No pipe: the server would inherit it, and reading would never end.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                [str(self._pg_ctl), what, "-w", "-D", str(self.data), *options],
                user=self._user if os.geteuid() == 0 else None,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
                cwd="/",
            )
            if done.returncode:
                output.seek(0)
                raise RuntimeError(output.read().decode())


@contextmanager
def own_server(folder: Path) -> Iterator[Server]:
    """A server of its own, whose data is below the folder."""
    with embedded_postgres(folder / "postgres") as url:
        server = Server(url)
        first = server.pid
        try:
            yield server
        finally:
            # What was started anew is unknown to whoever started the first one.
            if server.is_running and server.pid != first:
                server.stop("immediate")
