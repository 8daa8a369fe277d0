"""Open a connection to Postgres."""

import psycopg
from psycopg import conninfo

from clerksync.errors import DatabaseUnreachableError
from clerksync.postgres.connection_error import reason
from clerksync.postgres.impatient_connection import ImpatientConnection
from clerksync.postgres.session_settings import AT_STARTUP, settle
from clerksync.postgres.tls import tls_parameters

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
    given: dict[str, str] = {}
    try:
        given = {k: str(v) for k, v in conninfo.conninfo_to_dict(url).items()}
        if uses_iam:
            given["password"] = _iam_token(given)
        # libpq's own values lose against the URL's, not against keywords.
        parameters = _CLIENT_LIMITS | tls_parameters(given) | given | AT_STARTUP
        connection = ImpatientConnection.connect(
            conninfo.make_conninfo(**parameters),
            autocommit=True,
            prepare_threshold=None,
        )
        try:
            settle(connection)
        except psycopg.Error:
            connection.close()
            raise
    except psycopg.Error as error:
        raise DatabaseUnreachableError(reason(error, given)) from None
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
