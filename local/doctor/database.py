"""Checks of the Postgres server and of the way to it."""

import time
from typing import Any, Final

import psycopg
from psycopg import sql

from clerksync.postgres.tls import is_here
from local.doctor.check_runner import Verdict, Verdicts, ok, warning, wrong
from local.doctor.clocks import compared
from local.doctor.subject import Subject

_OLDEST: Final = 15
_ENCODING: Final = sql.SQL("SELECT current_setting('server_encoding')")
_MOVE_TO_UTF8: Final = (
    "Create a database with ENCODING 'UTF8' TEMPLATE template0, and move the data "
    "there with pg_dump and pg_restore."
)
_READ_ONLY: Final = sql.SQL(
    "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'"
)
_CLOCK: Final = sql.SQL("SELECT extract(epoch FROM clock_timestamp())")


def reachable(subject: Subject) -> Verdicts:
    """It lets us in, and lets us write."""
    is_replica, is_read_only = subject.row(_READ_ONLY)
    if is_replica:
        yield wrong(
            "DATABASE_URL leads to a read replica, where nothing can be written: take "
            "the address of the primary."
        )
    elif is_read_only:
        yield wrong(
            "Transactions are read-only: take default_transaction_read_only back, from "
            "DATABASE_URL, the role or the database."
        )
    else:
        yield ok("It lets us in, and takes writes.")


def tls(subject: Subject) -> Verdicts:
    """Whether others on the way can read along, or pose as the server."""
    yield subject.database.run(_tls)


def _tls(connection: psycopg.Connection[Any]) -> Verdict:
    mode = connection.info.get_parameters().get("sslmode", "prefer")
    encrypted = bool(connection.pgconn.ssl_in_use)
    if is_here(connection.info.host):
        return ok("The server is on this machine: nobody stands in between.")
    if not encrypted:
        return warning(
            f"The connection is not encrypted (sslmode={mode}): whoever is on the way "
            "can read along. Leave sslmode out of DATABASE_URL, which demands a "
            "verified server."
        )
    if mode == "verify-full":
        return ok("The connection is encrypted, and the server verified.")
    left_out = "its name" if mode == "verify-ca" else "the server"
    return warning(
        f"The connection is encrypted, and {left_out} is not verified (sslmode={mode}):"
        " others may pose as it. Leave sslmode out of DATABASE_URL, and name an "
        "authority that is not a public one with sslrootcert=FILE."
    )


def server(subject: Subject) -> Verdicts:
    yield version_verdict(subject.database.run(lambda c: c.info.server_version))


def version_verdict(version: int) -> Verdict:
    """On a version as libpq numbers them: 180004 is 18.4."""
    major, minor = divmod(version, 10_000)
    if major < _OLDEST:
        return wrong(
            f"It is Postgres {major}.{minor}, and {_OLDEST} or newer is needed: "
            "upgrade the server."
        )
    return ok(f"It is Postgres {major}.{minor}.")


def encoding(subject: Subject) -> Verdicts:
    """Whether the database holds every character that Clerk may send."""
    (found,) = subject.row(_ENCODING)
    if found == "UTF8":
        yield ok("It is UTF8.")
    elif found == "SQL_ASCII":
        yield warning(
            "It is SQL_ASCII, so Postgres does not check texts. If another program "
            "stores a text that is not UTF-8, the row of that user cannot be read. "
            f"{_MOVE_TO_UTF8}"
        )
    else:
        yield warning(
            f"It is {found}, which does not have every character. A user whose name or "
            f"metadata has a character outside of it is not written. {_MOVE_TO_UTF8}"
        )


def clock(subject: Subject) -> Verdicts:
    """This machine's against the database's, which dates tombstones and runs."""
    before = time.time()
    (there,) = subject.row(_CLOCK)
    yield compared(float(there) - (before + time.time()) / 2, "that of Postgres")
