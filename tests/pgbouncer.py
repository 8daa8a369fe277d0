"""A real PgBouncer, in front of the Postgres of the tests."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.convergence.wire import Wire

_SECONDS: Final = 30
# It refuses to run as root, and gives up that right by itself if it gets a name.
_UNPRIVILEGED: Final = "nobody"
_CONFIG: Final = """
[databases]
* = host=127.0.0.1 port={server_port} user={user} password={password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {pool_mode}
default_pool_size = 1
{user_setting}
"""


def _program() -> str | None:
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    return shutil.which("pgbouncer", path=path)


unless_installed = pytest.mark.skipif(
    _program() is None and not os.environ.get("CI"),
    reason="pgbouncer is not installed. On Debian: apt-get install pgbouncer",
)


@contextmanager
def pgbouncer(
    target: str, folder: Path, *, pool_mode: str = "transaction"
) -> Iterator[str]:
    """Run PgBouncer with one server connection for each database; yields the URL of the
    target through it."""
    program = _program()
    assert program is not None, "pgbouncer is not installed"
    login = conninfo_to_dict(target)
    config = folder / "pgbouncer.ini"
    # The folder of the embedded server's socket is closed to an unprivileged user.
    with closing(Wire(target)) as wire:
        port = _free_port()
        config.write_text(
            _CONFIG.format(
                server_port=conninfo_to_dict(wire.url)["port"],
                user=login["user"],
                password=login.get("password") or "none",
                port=port,
                pool_mode=pool_mode,
                user_setting=f"user = {_UNPRIVILEGED}" if os.geteuid() == 0 else "",
            )
        )
        with (folder / "pgbouncer.log").open("wb") as log:
            process = subprocess.Popen([program, str(config)], stdout=log, stderr=log)  # noqa: S603 - the system's own
            url = make_conninfo(
                target, host="127.0.0.1", port=port, sslmode="disable", password="any"
            )
            try:
                _wait_for(port, process, folder / "pgbouncer.log")
                yield url
            finally:
                process.terminate()
                process.wait(_SECONDS)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def shows(connection: psycopg.Connection, setting: str) -> str:
    """The value of a setting on whichever server connection is assigned."""
    row = connection.execute(f"SHOW {setting}".encode()).fetchone()
    assert row is not None
    return str(row[0])
