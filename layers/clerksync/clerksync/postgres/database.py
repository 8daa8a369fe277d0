"""The Postgres connection of an execution environment."""

import random
import re
import time
from collections.abc import Callable
from typing import Final, Self, TypeVar

import psycopg
from psycopg import conninfo, errors

from clerksync.errors import DatabaseUnreachableError, SchemaOutdatedError
from clerksync.postgres.impatient_connection import ImpatientConnection
from clerksync.postgres.tls import tls_parameters
from clerksync.settings.database_url import parameter_complaint
from clerksync.settings.environment import Settings

# Not seeded at import: environments restored from one snapshot would wait alike.
_RANDOM = random.SystemRandom()

Result = TypeVar("Result")
Work = Callable[[psycopg.Connection], Result]

# Two units of work that met: the loser runs again and finds a settled state.
_COLLISIONS = (
    errors.SerializationFailure,
    errors.DeadlockDetected,
    errors.UniqueViolation,
)
_MAX_ATTEMPTS = 5

_NOT_MIGRATED = (
    errors.InvalidColumnReference,  # a key that is not unique any more
    errors.InvalidSchemaName,
    errors.UndefinedColumn,
    errors.UndefinedFunction,
    errors.UndefinedTable,
)

_FUNCTION = re.compile(r"PL/pgSQL[^\n]*?([\w.]+)\(")

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


class Database:
    """One connection in autocommit mode, opened at first use and when the URL changes.

    Not for sharing between threads: Lambda handles one request at a time. There is
    no pool, nothing is prepared on the server and no session state is kept, so that
    transaction poolers and RDS Proxy may stand in between.
    """

    def __init__(
        self,
        url: Callable[[], str],
        *,
        refresh: Callable[[], bool] = lambda: False,
        uses_iam: Callable[[], bool] = lambda: False,
    ) -> None:
        """`refresh` looks whether the URL has changed, when connecting failed."""
        self._url = url
        self._refresh = refresh
        self._uses_iam = uses_iam
        self._connection: psycopg.Connection | None = None
        self._connected_to = ""

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls(
            lambda: settings.database_url,
            refresh=settings.refresh,
            uses_iam=lambda: settings.database_uses_iam,
        )

    def run(self, work: Work[Result]) -> Result:
        """Run a unit of work that may be run again.

        It is repeated once over a new connection when the old one turns out to be
        dead or read-only, and up to 5 times when it collided with another (SQLSTATE
        40001, 40P01, 23505). Raises DatabaseUnreachableError, also when Postgres does
        not answer within the time limit, SchemaOutdatedError, or psycopg.Error.
        """
        attempt = 0
        reconnected = False
        while True:
            connection = self._connect()
            try:
                return work(connection)
            except _COLLISIONS:
                attempt += 1
                if attempt == _MAX_ATTEMPTS:
                    raise
                time.sleep(_RANDOM.uniform(0, 0.02 * 2**attempt))
                continue
            except _NOT_MIGRATED as error:
                if _is_of_a_trigger(error):
                    raise
                message = "The database schema is not up to date: run migrate."
                raise SchemaOutdatedError(message) from error
            except (psycopg.OperationalError, psycopg.InterfaceError):
                # A dead connection is only seen at use; other operational errors
                # (disk full, statement timeout) leave it alive and are not ours.
                if not self._is_broken() or reconnected:
                    raise
            except errors.ReadOnlySqlTransaction:
                # The primary of yesterday, or a session begun while writing was off:
                # kept, it would refuse for as long as this environment lives.
                self.close()
                if reconnected:
                    raise
            reconnected = True
            self.close()

    def run_hashed(self, work: Work[Result]) -> Result:
        """Run, as one transaction, a unit of work that joins whole tables: with memory
        for hashing a million ids, and not row by row, as the planner would where a
        table looks empty."""

        def with_memory(connection: psycopg.Connection) -> Result:
            with connection.transaction():
                connection.execute("SET LOCAL work_mem = '64MB'")
                connection.execute("SET LOCAL enable_nestloop = off")
                # For columns without a time zone.
                connection.execute("SET LOCAL timezone = 'UTC'")
                return work(connection)

        return self.run(with_memory)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _is_broken(self) -> bool:
        return self._connection is None or self._connection.closed

    def _connect(self) -> psycopg.Connection:
        url = self._url()
        if self._connection is not None and not self._connection.closed:
            if url == self._connected_to:
                return self._connection
            self.close()
        try:
            self._connection = _opened(url, uses_iam=self._uses_iam())
        except DatabaseUnreachableError:
            # A password that was rotated, or a database that moved.
            if not self._refresh() or url == self._url():
                raise
            url = self._url()
            self._connection = _opened(url, uses_iam=self._uses_iam())
        self._connected_to = url
        return self._connection


def _opened(url: str, *, uses_iam: bool) -> psycopg.Connection:
    try:
        given = {k: str(v) for k, v in conninfo.conninfo_to_dict(url).items()}
        # libpq's own values lose against the URL's, not against keywords.
        given = _CLIENT_LIMITS | tls_parameters(given) | given
        if uses_iam:
            given["password"] = _iam_token(given)
        return ImpatientConnection.connect(
            conninfo.make_conninfo(**given), autocommit=True, prepare_threshold=None
        )
    except psycopg.Error as error:
        raise DatabaseUnreachableError(_reason(error)) from None


def _is_of_a_trigger(error: psycopg.Error) -> bool:
    """Whether a function raised it that is not ours. The innermost comes first."""
    found = _FUNCTION.search(error.diag.context or "")
    return found is not None and "clerksync_" not in found[1]


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
