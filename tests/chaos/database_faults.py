"""What happens to Postgres itself."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.chaos.faults import SILENCE_SECONDS, Fault, repeatedly
from tests.chaos.rig import DATABASE, Rig

_KILL_SESSIONS: Final = (
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
    " WHERE application_name = 'clerksync'"
)


@contextmanager
def stopped(rig: Rig) -> Iterator[None]:
    rig.server.stop("fast")
    try:
        yield
    finally:
        rig.server.start()


@contextmanager
def power_cut(rig: Rig) -> Iterator[None]:
    rig.server.stop("immediate")
    try:
        yield
    finally:
        rig.server.start()


@contextmanager
def killed(rig: Rig) -> Iterator[None]:
    rig.server.kill()
    try:
        yield
    finally:
        rig.server.start()


@contextmanager
def backends_killed(rig: Rig) -> Iterator[None]:
    with repeatedly(lambda: _kill_one(rig), every=1.0):
        yield
    rig.server.wait()


def _kill_one(rig: Rig) -> None:
    rig.server.wait()
    rig.server.kill_backend()


@contextmanager
def processes_frozen(rig: Rig) -> Iterator[None]:
    with rig.server.frozen():
        yield


@contextmanager
def locked(rig: Rig) -> Iterator[None]:
    """As a careless migration of the application would."""
    with rig.server.connected(DATABASE) as connection, connection.transaction():
        connection.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        yield


@contextmanager
def read_only(rig: Rig) -> Iterator[None]:
    """As after a failover, or when a provider's quota is used up."""
    setting = f"ALTER DATABASE {DATABASE} SET default_transaction_read_only"
    rig.server.execute(f"{setting} = on", _KILL_SESSIONS)
    try:
        yield
    finally:
        # Whoever is connected stays read-only: only new sessions are not.
        rig.server.execute(f"{setting} = off")


@contextmanager
def without_slots(rig: Rig) -> Iterator[None]:
    limit = f"ALTER DATABASE {DATABASE} CONNECTION LIMIT"
    rig.server.execute(f"{limit} 0", _KILL_SESSIONS)
    try:
        yield
    finally:
        rig.server.execute(f"{limit} -1")


@contextmanager
def password_rotated(rig: Rig) -> Iterator[None]:
    """Postgres knows the new one at once, the secret only at the end."""
    password = f"rotated{os.urandom(8).hex()}"
    rig.set_password(password)
    rig.server.execute(_KILL_SESSIONS)
    try:
        yield
    finally:
        rig.tell_password(password)


@contextmanager
def disk_full(rig: Rig) -> Iterator[None]:
    """The table's file system has no byte left: a small one in memory."""
    disk = rig.folder / "disk"
    disk.mkdir(exist_ok=True)
    _root("mount", "-t", "tmpfs", "-o", "size=64m,mode=777", "tmpfs", str(disk))
    filler = disk / "filler"
    place = disk / "tables"
    try:
        rig.server.own(place)
        rig.server.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
        _move_tables(rig, "small")
        _fill(filler)
        yield
        filler.unlink()
        _move_tables(rig, "pg_default")
        rig.server.execute("DROP TABLESPACE small")
    finally:
        filler.unlink(missing_ok=True)
        _root("umount", "--lazy", str(disk))


@contextmanager
def disk_said_to_be_full(rig: Rig) -> Iterator[None]:
    """Where no file system may be mounted: a trigger that says what Postgres would."""
    rig.server.execute(
        "CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE SQLSTATE '53100'; END $$",
        "CREATE TRIGGER no_space BEFORE INSERT OR UPDATE ON users"
        " FOR EACH ROW EXECUTE FUNCTION no_space()",
        database=DATABASE,
    )
    try:
        yield
    finally:
        rig.server.execute("DROP FUNCTION no_space CASCADE", database=DATABASE)


def may_mount(folder: Path) -> bool:
    if os.geteuid():
        return False
    folder.mkdir()
    try:
        _root("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder))
        _root("umount", str(folder))
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _fill(filler: Path) -> None:
    with filler.open("wb") as file:
        try:
            while True:
                file.write(bytes(65_536))
                file.flush()
        except OSError:
            pass


def _move_tables(rig: Rig, space: str) -> None:
    moves = [
        f"ALTER {kind} ALL IN TABLESPACE {old} SET TABLESPACE {space}"
        for kind in ("TABLE", "INDEX")
        for old in ({"small", "pg_default"} - {space})
    ]
    rig.server.execute(*moves, database=DATABASE)


def _root(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def database_faults(*, mounted: bool) -> list[Fault]:
    """Those of the server. `mounted`: whether a file system may be mounted."""
    full = (
        Fault("Postgres: disk full (a small file system)", disk_full, 5)
        if mounted
        else Fault("Postgres: disk full (said by a trigger)", disk_said_to_be_full, 5)
    )
    return [
        Fault("Postgres: stopped, and started again", stopped),
        Fault("Postgres: power cut", power_cut),
        Fault("Postgres: killed (SIGKILL)", killed),
        Fault("Postgres: a server process killed each second", backends_killed, 4),
        Fault("Postgres: frozen (SIGSTOP)", processes_frozen, SILENCE_SECONDS),
        Fault("Postgres: users locked by somebody else", locked, SILENCE_SECONDS),
        full,
        Fault("Postgres: read-only", read_only),
        Fault("Postgres: no connection to spare", without_slots),
        Fault("Postgres: password rotated, the secret 3 s later", password_rotated),
    ]
