"""What the server refuses: one row, or the statement itself."""

from collections import Counter
from typing import Final, NamedTuple, Self

import psycopg
from psycopg import errors

from clerksync.observability import logger
from clerksync.write.locks import is_lock, raised_by_trigger
from clerksync.write.too_long import TOO_LONG

SWALLOWED: Final = "CS001"
"""Raised by our functions: a row was not written, though no error was raised."""
KEPT: Final = "CS002"
"""Raised by our functions: a row is still live after its deletion."""
# Nothing that one row could cause: the connection, resources, an operator, a server
# that may not write, and collisions that were retried often enough.
_CLASSES: Final = ("08", "53", "57", "58")
_STATES: Final = frozenset({"25006", "40001", "40P01"})
UNSTORABLE: Final = (
    psycopg.DataError,
    errors.ProgramLimitExceeded,  # an email too long for its index
    errors.StatementTooComplex,  # metadata nested too deep
)
IS_LOCKED: Final = "locked"
"""In place of a SQLSTATE, which a trigger could raise, too."""
LOCK: Final = "another transaction, which has a row locked"
_LOGGED_ALIKE: Final = 20
_KEPT_BY: Final = (
    "a trigger, rule or policy that keeps the row (if it soft-deletes, say "
    'deletion = "trigger" in the mapping)'
)


def concerns_statement(error: psycopg.Error) -> bool:
    """Whether an error is surely not about a single row.

    If this is false, a batch of none tells: see `BatchWriter.write`. A trigger can
    raise any state, such as that of a full disk.
    """
    state = error.sqlstate
    if state is None or raised_by_trigger(error):
        return state is None
    return state.startswith(_CLASSES) or state in _STATES


def obstacle(error: psycopg.Error) -> str:
    """Return what blocks a deletion: table and constraint, or the column."""
    if is_lock(error):
        return LOCK
    if error.sqlstate == KEPT:
        return _KEPT_BY
    named = error.diag.constraint_name or error.diag.column_name
    if named is None:
        own = error.sqlstate != "P0001"  # which is what RAISE EXCEPTION gives
        return f"a trigger (SQLSTATE {error.sqlstate})" if own else "a trigger"
    return f"{error.diag.table_name}.{named}"


class Refusal(NamedTuple):
    """Why a row was refused, without any value of it."""

    sqlstate: str | None
    table: str | None = None
    constraint: str | None = None
    column: str | None = None

    @classmethod
    def of(cls, error: psycopg.Error) -> Self:
        diag = error.diag
        return cls(
            IS_LOCKED if is_lock(error) else error.sqlstate,
            diag.table_name,
            diag.constraint_name,
            diag.column_name,
        )

    @property
    def is_locked(self) -> bool:
        """Whether the row was not refused, but locked by another transaction."""
        return self.sqlstate == IS_LOCKED

    def __str__(self) -> str:
        if self.is_locked:
            return "locked by another transaction"
        if self.sqlstate == SWALLOWED:
            return "a trigger, rule or policy swallowed the row"
        if self.sqlstate == TOO_LONG and self.column:
            return f"SQLSTATE {TOO_LONG}, too long for {self.table}.{self.column}"
        named = self.constraint or self.column
        where = f" ({self.table}.{named})" if self.table and named else ""
        return f"SQLSTATE {self.sqlstate}{where}"


class RefusalLog:
    """Logs what was refused in a run: of each reason, the first 20 rows."""

    def __init__(self, message: str) -> None:
        self._message = message
        self._number = Counter[Refusal]()

    def add(self, clerk_id: str, refusal: Refusal) -> None:
        self._number[refusal] += 1
        if self._number[refusal] <= _LOGGED_ALIKE:
            logger.error(
                self._message,
                clerk_id=clerk_id,
                reason=str(refusal),
                **refusal._asdict(),
            )
        if self._number[refusal] == _LOGGED_ALIKE:
            logger.error("more rows like this are counted and not logged")
