"""Write a batch of rows; a row that is refused or locked costs that row only."""

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg import errors

from clerksync.errors import OutOfTimeError
from clerksync.postgres.database import Database
from clerksync.write.copy_text import values_of
from clerksync.write.locks import (
    LOCK_TIMEOUT,
    WHILE_OTHERS_WAIT,
    is_lock,
    locked_ids,
    took_too_long,
)
from clerksync.write.outcome import Outcome
from clerksync.write.refused_row import Refusal, RefusalLog, concerns_statement
from clerksync.write.rows import StagedRow
from clerksync.write.sql_functions import Function, WritePath
from clerksync.write.staging import call_staged
from clerksync.write.too_long import TOO_LONG, TooLong

# By an index, or by an exclusion constraint.
_TAKEN: Final = frozenset({"23505", "23P01"})
# So many rows that were tried alone, to find out whether their values are really taken,
# speak for the others.
_ENOUGH_ALIKE: Final = 20
# Rows in a unit of work, until one takes too long.
_LARGEST: Final = 12_000
_ISOLATED: Final = 1_000
_QUICK_SECONDS: Final = 0.5
# Sooner than its own limit, a statement is cancelled by an operator.
_CUT_SECONDS: Final = 0.9
# So many rows, tried alone one after the other and all locked, speak for the others.
_LOCKED_IN_A_ROW: Final = 20
# For what was fetched before the deadline.
_GRACE_SECONDS: Final = 1.0
# How long a table is waited for that the application has locked as a whole.
_TABLE_SECONDS: Final = 60.0


class SlowBatchError(Exception):
    """The table does not take so many rows in a second. None of them was written."""


class BatchWriter:
    """Writes the batches of one run, in units of work of a second at most.

    Keeps in mind how many rows the table takes in that time.
    """

    def __init__(
        self,
        database: Database,
        path: WritePath,
        flags: Sequence[Any],
        *,
        too_long: Callable[[], TooLong],
        deadline: float = math.inf,
        doubted_before: datetime | None = None,
    ) -> None:
        """`flags` are those of the upsert; `deadline` is of time.monotonic(); see
        `UserBatches.doubt_claims` for `doubted_before`."""
        self._database = database
        self._path = path
        self._flags = flags
        self._too_long = too_long
        self._deadline = deadline
        self._size = _LARGEST
        self._locked_in_a_row = 0
        self._doubted_before = doubted_before
        self._log = RefusalLog("user not written")

    def write(
        self,
        rows: Sequence[StagedRow],
        *,
        all_asked: bool = False,
        at_once: bool = False,
    ) -> Outcome:
        """Apply rows, one for each user, sorted by ID.

        Rows that the table refuses are left out and end in `failed`; rows that another
        transaction has locked are left out and end in `locked`. Users who are blocked
        by the email of another are returned and not written, unless `all_asked`.

        Raises the error if the statement itself is refused, which a batch of none
        shows, and OutOfTimeError between two units of work. With `at_once`, raises
        SlowBatchError if more units would be needed than one.
        """
        if at_once and len(rows) > self._size:
            raise SlowBatchError
        return self._in_units(
            rows, lambda unit: self._together(unit, all_asked), at_once=at_once
        )

    def _in_units(
        self,
        rows: Sequence[StagedRow],
        write_unit: Callable[[list[StagedRow]], Outcome],
        *,
        most: int = _LARGEST,
        at_once: bool = False,
    ) -> Outcome:
        outcome = Outcome()
        left = list(rows)
        while left:
            self._check_time()
            unit = left[: min(self._size, most)]
            began = time.monotonic()
            try:
                outcome.add(write_unit(unit))
            except psycopg.Error as error:
                if locked := locked_ids(error, [row[0] for row in unit]):
                    outcome.locked += [row for row in unit if row[0] in locked]
                    left = [row for row in left if row[0] not in locked]
                    self._locked_in_a_row += len(unit) == 1
                    if self._locked_in_a_row >= _LOCKED_IN_A_ROW:
                        outcome.locked += left
                        break
                elif len(unit) > 1 and self._needs_fewer(error, began):
                    self._size = len(unit) // 2
                    if at_once and isinstance(error, errors.QueryCanceled):
                        raise SlowBatchError from error
                elif isinstance(error, errors.QueryCanceled) and len(unit) == 1:
                    self._call(self._path.upsert_staged, [])
                    outcome.add(self.refused(unit[0], Refusal.of(error)))
                    left = left[1:]
                else:
                    raise
                continue
            left = left[len(unit) :]
            self._locked_in_a_row = 0
            if time.monotonic() - began < _QUICK_SECONDS:
                self._size = min(self._size * 2, _LARGEST)
        return outcome

    def _needs_fewer(self, error: psycopg.Error, began: float) -> bool:
        """Whether fewer rows might do. Waits for a table that is locked as a whole."""
        if not took_too_long(error):
            return False
        self._wait_for_table(error)
        is_lock_timeout = error.sqlstate == LOCK_TIMEOUT
        return is_lock_timeout or time.monotonic() - began > _CUT_SECONDS

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline + _GRACE_SECONDS:
            raise OutOfTimeError

    def _wait_for_table(self, error: psycopg.Error) -> None:
        """Return as soon as a batch of none need not wait for a lock. If it must, the
        table itself is locked, and fewer rows would not help."""
        until = time.monotonic() + _TABLE_SECONDS
        while error.sqlstate == LOCK_TIMEOUT:
            try:
                self._call(self._path.upsert_staged, [])
            except errors.LockNotAvailable as still:
                error = still
            else:
                return
            if time.monotonic() > until:
                raise error
            self._check_time()

    def _together(self, rows: list[StagedRow], all_asked: bool) -> Outcome:
        try:
            return Outcome.of(self._call(self._path.upsert_staged, rows, all_asked))
        except psycopg.Error as error:
            if _is_not_refused(error):
                raise
            self._call(self._path.upsert_staged, [], all_asked)
            if len(rows) == 1:
                return self.refused(rows[0], Refusal.of(error))
        return self._in_units(
            rows, lambda unit: self._isolated(unit, all_asked), most=_ISOLATED
        )

    def _isolated(self, rows: list[StagedRow], all_asked: bool) -> Outcome:
        try:
            *counts, refused = self._call(self._path.isolate, rows, all_asked)
        except psycopg.Error as error:
            if _is_not_refused(error):
                raise
            # COPY refuses a value, such as one that the database's encoding lacks.
            middle = len(rows) // 2
            outcome = self.write(rows[:middle], all_asked=all_asked)
            outcome.add(self.write(rows[middle:], all_asked=all_asked))
            return outcome
        outcome = Outcome.of(tuple(counts))
        by_id = {row[0]: row for row in rows}
        tried = Counter[Refusal]()
        for clerk_id, *why in refused:
            row, refusal = by_id[clerk_id], Refusal(*why)
            if refusal.sqlstate in _TAKEN and tried[refusal] < _ENOUGH_ALIKE:
                # Perhaps only a race.
                alone = self.write([row], all_asked=all_asked)
                tried[refusal] += len(alone.failed)
                outcome.add(alone)
            else:
                outcome.add(self.refused(row, refusal))
        return outcome

    def refused(self, row: StagedRow, refusal: Refusal) -> Outcome:
        """Log that a row was not written, and return it as failed."""
        clerk_id, _, line = row
        if refusal.sqlstate == TOO_LONG:
            column = self._too_long().columns(values_of(line))
            refusal = refusal._replace(table=self._too_long().table, column=column)
        self._log.add(clerk_id, refusal)
        return Outcome(failed=[clerk_id], failures=[f"{clerk_id}: {refusal}"])

    def _call(
        self, function: Function, rows: list[StagedRow], all_asked: bool = False
    ) -> tuple[Any, ...]:
        arguments = [
            *self._flags,
            all_asked,
            WHILE_OTHERS_WAIT,
            self._doubted_before,
        ]
        return self._database.run(
            lambda connection: call_staged(
                connection, self._path, function, rows, arguments
            )
        )


def _is_not_refused(error: psycopg.Error) -> bool:
    """Whether the error says nothing against a row."""
    return concerns_statement(error) or took_too_long(error) or is_lock(error)
