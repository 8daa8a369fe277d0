"""Settings of a session that what we read and write depends on.

The owner of a database or a role may have set them for each of its sessions. A pooler
must accept how we set them: RDS Proxy refuses the startup parameter `options`, and
PgBouncer restores only some settings when it changes the server connection.
"""

from collections.abc import Iterator
from typing import Final

import psycopg
from psycopg import IsolationLevel

AT_STARTUP: Final = {"client_encoding": "UTF8"}
"""libpq sends it when it connects. Many drivers do so, and poolers accept it."""

_SET_ENCODING: Final = b"SET client_encoding TO 'UTF8'"
# Only how dates are shown. In which order they are read stays the owner's.
_SET_DATE_STYLE: Final = b"SET DateStyle TO 'ISO'"
_UTF8: Final = frozenset({"UTF8", "UNICODE"})


def settle(connection: psycopg.Connection) -> None:
    """Set what the server reports to be different from what we need.

    The server reports both settings whenever a connection is opened, so that the usual
    one needs no statement. PgBouncer restores both on whichever server connection it
    assigns to a client.
    """
    if statements := b"; ".join(_statements(connection)):
        connection.execute(statements)
    # Part of each BEGIN: the write path needs a new snapshot for each statement.
    connection.isolation_level = IsolationLevel.READ_COMMITTED


def _statements(connection: psycopg.Connection) -> Iterator[bytes]:
    encoding = connection.info.parameter_status("client_encoding")
    # What a pooler does not report is what psycopg takes for granted, too.
    if encoding and encoding.upper().replace("-", "") not in _UTF8:
        yield _SET_ENCODING
    date_style = connection.info.parameter_status("DateStyle")
    if date_style and not date_style.startswith("ISO"):
        yield _SET_DATE_STYLE
