"""Open a connection to Postgres, or say why there is none."""

from typing import Final

import psycopg
from psycopg import conninfo

from clerksync.errors import DatabaseUnreachableError
from clerksync.postgres.impatient_connection import ImpatientConnection
from clerksync.postgres.session_settings import AT_STARTUP, settle
from clerksync.postgres.tls import tls_parameters
from clerksync.settings.database_url import parameter_complaint

# A silent network is bounded by nothing on the server; whatever the URL says wins.
# Half of a request's time, so that the other half suffices for a new connection.
_CLIENT_LIMITS = {
    "application_name": "clerksync",
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "tcp_user_timeout": "4000",
}


def connect(url: str, *, uses_iam: bool) -> psycopg.Connection:
    """Open a connection in autocommit mode, with our limits, our session settings and
    a verified server.

    Raises DatabaseUnreachableError, with what to do and without any part of the URL.
    """
    try:
        given = {k: str(v) for k, v in conninfo.conninfo_to_dict(url).items()}
        # libpq's own values lose against the URL's, not against keywords.
        given = _CLIENT_LIMITS | tls_parameters(given) | given | AT_STARTUP
        if uses_iam:
            given["password"] = _iam_token(given)
        connection = ImpatientConnection.connect(
            conninfo.make_conninfo(**given), autocommit=True, prepare_threshold=None
        )
        try:
            settle(connection)
        except psycopg.Error:
            connection.close()
            raise
    except psycopg.Error as error:
        raise DatabaseUnreachableError(_reason(error)) from None
    return connection


def _iam_token(given: dict[str, str]) -> str:
    """A password for the next 15 minutes, signed here with the function's own role."""
    import boto3  # noqa: PLC0415 - only who uses it pays for it

    token: str = boto3.client("rds").generate_db_auth_token(
        DBHostname=given.get("host", ""),
        Port=int(given.get("port", "5432")),
        DBUsername=given.get("user", ""),
    )
    return token


def _reason(error: psycopg.Error) -> str:
    """What a person needs to know, without the user, host or password of the URL."""
    if complaint := parameter_complaint(str(error)):
        return complaint
    if isinstance(error, psycopg.ProgrammingError):
        return "DATABASE_URL is not a Postgres URL (postgresql://user:…@host/database)."
    text = str(error)
    for said, reason in _REASONS:
        if any(words in text for words in said):
            return reason
    return (
        "Postgres cannot be reached: check the host and port of DATABASE_URL, that "
        "the server runs, and that this network may reach it."
    )


_NOT_LET_IN: Final = (
    "Postgres lets nobody in from here: its pg_hba.conf has no line for this host with "
    "the role and database of DATABASE_URL."
)
_NOT_TRUSTED: Final = (
    "Postgres shows no TLS certificate that can be trusted. Name its authority in "
    "DATABASE_URL (?sslrootcert=FILE) or, where the network itself can be trusted, say "
    "?sslmode=require or ?sslmode=disable."
)
_NO_TLS: Final = (
    "Postgres has no TLS, which DATABASE_URL asks for. Where the network itself can be "
    "trusted, say ?sslmode=disable."
)
_REFUSED: Final = "Postgres refused user or password: check DATABASE_URL."
_NONE_SUCH: Final = "Postgres has no such database or role: check DATABASE_URL."
_FULL: Final = (
    "Postgres takes no more connections: name a pooler in DATABASE_URL, raise "
    "max_connections, or lower ReservedConcurrency."
)
# By what libpq and servers say; the order matters: they speak of SSL in passing.
_REASONS: Final = (
    (("pg_hba.conf",), _NOT_LET_IN),
    (("authentication failed", "no password"), _REFUSED),
    (("does not exist",), _NONE_SUCH),
    (("too many", "connection slots"), _FULL),
    (("does not support SSL",), _NO_TLS),
    (("certificate", "SSL error"), _NOT_TRUSTED),
)
