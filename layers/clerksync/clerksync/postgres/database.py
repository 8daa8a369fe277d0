"""The Postgres connection of an execution environment."""

import random
import re
import time
from collections.abc import Callable
from typing import Final, Self, TypeVar

import psycopg
from psycopg import errors

from clerksync.errors import DatabaseUnreachableError, SchemaOutdatedError
from clerksync.postgres.connect import connect
from clerksync.postgres.connection_error import STANDBY, STATEMENT_POOLING
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
    errors.ExclusionViolation,
)
_MAX_ATTEMPTS = 5
_MAX_ALIKE = 3

_READ_ONLY = errors.ReadOnlySqlTransaction
# The last two mean many other things elsewhere.
_AT_STANDBY = (
    _READ_ONLY,
    errors.FeatureNotSupported,
    errors.ObjectNotInPrerequisiteState,
)
_MAY_NEED_ANOTHER_CONNECTION = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    *_AT_STANDBY,
)
# PgBouncer's, whose SQLSTATE, 08P01, means many other things.
_STATEMENT_POOLER = "statement pooling"

_NOT_MIGRATED = (
    errors.InvalidColumnReference,  # a key that is not unique any more
    errors.InvalidSchemaName,
    errors.UndefinedColumn,
    errors.UndefinedFunction,
    errors.UndefinedTable,
)

# Names are in quotes where quote_all_identifiers is on.
_FUNCTION: Final = r'PL/pgSQL[^\n]*?([\w."]+)\('


class _Collisions:
    """Those of one unit of work, as long as it may help to try again."""

    def __init__(self) -> None:
        self._number = 0
        self._violations: list[tuple[str | None, str | None]] = []

    def get_over(self, error: psycopg.Error) -> None:
        """Wait, if that helps. Raises the error if it was one too many."""
        self._number += 1
        persists = False
        if isinstance(error, errors.UniqueViolation | errors.ExclusionViolation):
            # Whoever held the value has committed by now: waiting does not help, and
            # the same index and value for the third time is no race.
            violation = error.diag.constraint_name, error.diag.message_detail
            self._violations.append(violation)
            persists = self._violations.count(violation) == _MAX_ALIKE
        if persists or self._number == _MAX_ATTEMPTS:
            raise error
        if not self._violations:
            time.sleep(_RANDOM.uniform(0, 0.02 * 2**self._number))


class Database:
    """One connection in autocommit mode, opened at first use and when the URL changes.

    Not for sharing between threads: Lambda handles one request at a time. There is
    no pool, nothing is prepared on the server and no session state is kept except the
    two settings of `session_settings`, so that transaction poolers and RDS Proxy may
    stand in between.
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
        40001, 40P01, 23505, 23P01); not again if an index objects to the same value
        for the third time. Raises DatabaseUnreachableError, also when Postgres does
        not answer within the time limit or is a read replica, SchemaOutdatedError, or
        psycopg.Error.
        """
        collisions = _Collisions()
        reconnected = False
        while True:
            connection = self._connect()
            try:
                return work(connection)
            except _COLLISIONS as error:
                collisions.get_over(error)
                continue
            except _NOT_MIGRATED as error:
                if _is_of_a_trigger(error):
                    raise
                message = "The database schema is not up to date: run migrate."
                raise SchemaOutdatedError(message) from error
            except _MAY_NEED_ANOTHER_CONNECTION as error:
                self._give_up(error, connection, reconnected=reconnected)
            reconnected = True

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

    def _give_up(
        self, error: psycopg.Error, connection: psycopg.Connection, *, reconnected: bool
    ) -> None:
        """Close a connection that is of no more use, so that the work is done again.

        Raise if it is not the connection's fault, or if the last one was no better.
        """
        if _STATEMENT_POOLER in str(error):
            self.close()
            raise DatabaseUnreachableError(STATEMENT_POOLING) from error
        # A dead connection is only seen at use; other operational errors (disk full,
        # statement timeout) leave it alive and are not ours.
        if self._is_broken():
            if reconnected:
                raise error
            self.close()
            return
        is_standby = connection.info.parameter_status("in_hot_standby") == "on"
        if not isinstance(error, _AT_STANDBY if is_standby else _READ_ONLY):
            raise error
        # The primary of yesterday, or a session begun while writing was off: kept, it
        # would refuse for as long as this environment lives.
        self.close()
        if reconnected and is_standby:
            raise DatabaseUnreachableError(STANDBY) from error
        if reconnected:
            raise error

    def _is_broken(self) -> bool:
        return self._connection is None or self._connection.closed

    def _connect(self) -> psycopg.Connection:
        url = self._url()
        if self._connection is not None and not self._connection.closed:
            if url == self._connected_to:
                return self._connection
            self.close()
        try:
            self._connection = connect(url, uses_iam=self._uses_iam())
        except DatabaseUnreachableError:
            # A password that was rotated, or a database that moved.
            if not self._refresh() or url == self._url():
                raise
            url = self._url()
            self._connection = connect(url, uses_iam=self._uses_iam())
        self._connected_to = url
        return self._connection


def _is_of_a_trigger(error: psycopg.Error) -> bool:
    """Whether a function raised it that is not ours. The innermost comes first."""
    found = re.search(_FUNCTION, error.diag.context or "")
    return found is not None and "clerksync_" not in found[1]
