"""What the server refuses: one row, or the statement itself."""

import re
from typing import Final, NamedTuple, Self

import psycopg

from clerksync.observability import logger
from clerksync.write.too_long import TOO_LONG

SWALLOWED: Final = "CS001"
"""Raised by our functions: a row was not written, though no error was raised."""
KEPT: Final = "CS002"
"""Raised by our functions: a row is still live after its deletion."""
# Nothing that one row could cause: the connection, resources, an operator, a server
# that may not write, and collisions that were retried often enough.
_CLASSES: Final = ("08", "53", "57", "58")
_STATES: Final = frozenset({"25006", "40001", "40P01"})
# On purpose, so about the row that a trigger was looking at. The innermost comes first.
_RAISED: Final = re.compile(r"PL/pgSQL function [^\n]* at RAISE$", re.MULTILINE)
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
    if state is None or _RAISED.match(error.diag.context or ""):
        return state is None
    return state.startswith(_CLASSES) or state in _STATES


def obstacle(error: psycopg.Error) -> str:
    """Return what blocks a deletion: table and constraint, or the column."""
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
            error.sqlstate, diag.table_name, diag.constraint_name, diag.column_name
        )

    def __str__(self) -> str:
        if self.sqlstate == SWALLOWED:
            return "a trigger, rule or policy swallowed the row"
        if self.sqlstate == TOO_LONG and self.column:
            return f"SQLSTATE {TOO_LONG}, too long for {self.table}.{self.column}"
        named = self.constraint or self.column
        where = f" ({self.table}.{named})" if self.table and named else ""
        return f"SQLSTATE {self.sqlstate}{where}"

    def log(self, message: str, clerk_id: str) -> None:
        logger.error(message, clerk_id=clerk_id, reason=str(self), **self._asdict())
