"""Debian's Postgres, for what the embedded one lacks: citext, and ICU's collations."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGINT
from typing import Final

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

_SECONDS: Final = 60
_USER: Final = "postgres"
_OPTIONS: Final = ("-c", "listen_addresses=", "-c", "fsync=off", "-c", "jit=off")


def _programs() -> Path | None:
    """Return the folder of the newest version."""
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(found, key=lambda p: int(p.parent.parent.name), default=None)
    return newest and newest.parent


unless_installed = pytest.mark.skipif(
    _programs() is None and not os.environ.get("CI"),
    reason="Debian's Postgres is not installed: apt-get install postgresql",
)


@contextmanager
def debian_postgres() -> Iterator[str]:
    """Run a new, empty server; yields its URL. It listens on a socket only."""
    programs = _programs()
    assert programs is not None, "Debian's Postgres is not installed"
    folder = Path(tempfile.mkdtemp(prefix="clerksync-debian-"))
    data, log = folder / "data", folder / "log"
    # It refuses to run as root; its package has made a user.
    user = _USER if os.geteuid() == 0 else None
    if user:
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    url = make_conninfo(f"postgresql:///{_USER}", host=str(folder), user=_USER)
    try:
        subprocess.run(  # noqa: S603 - the system's own
            [programs / "initdb", "-D", data, "-U", _USER, "-E", "UTF8", "-A", "trust"],
            check=True,
            capture_output=True,
            user=user,
            env={"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"]},
        )
        with log.open("wb") as output:
            server = subprocess.Popen(  # noqa: S603 - same
                [programs / "postgres", "-D", data, "-k", folder, *_OPTIONS],
                stdout=output,
                stderr=output,
                user=user,
            )
        try:
            _wait_for(url, server, log)
            yield url
        finally:
            server.send_signal(SIGINT)
            server.wait(_SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(log.read_text())
