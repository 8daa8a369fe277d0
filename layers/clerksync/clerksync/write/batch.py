"""Write a batch of rows; a row that the table refuses costs that row only."""

from collections.abc import Sequence
from typing import Any, Final

import psycopg

from clerksync.postgres.database import Database
from clerksync.write.copy_text import values_of
from clerksync.write.outcome import Outcome
from clerksync.write.refused_row import Refusal, concerns_statement
from clerksync.write.rows import StagedRow
from clerksync.write.sql_functions import Function, WritePath
from clerksync.write.staging import call_staged
from clerksync.write.too_long import TOO_LONG, TooLong

# By an index, or by an exclusion constraint.
_TAKEN: Final = frozenset({"23505", "23P01"})


class BatchWriter:
    def __init__(
        self,
        database: Database,
        path: WritePath,
        flags: Sequence[Any],
        *,
        too_long: TooLong,
    ) -> None:
        """`flags` are those of the upsert."""
        self._database = database
        self._path = path
        self._flags = flags
        self._too_long = too_long

    def write(self, rows: list[StagedRow]) -> Outcome:
        """Apply rows, one for each user, sorted by ID. Rows that the table refuses are
        left out and end in `failed`. Users who are blocked by the email of another are
        returned and not written, unless all were asked for.

        Raises the error if the statement itself is refused: a batch of none tells.
        """
        try:
            return Outcome.of(self._call(self._path.upsert_staged, rows))
        except psycopg.Error as error:
            if concerns_statement(error):
                raise
            self._call(self._path.upsert_staged, [])
            if len(rows) == 1:
                return self._refused(rows[0], Refusal.of(error))
        return self._isolated(rows)

    def _isolated(self, rows: list[StagedRow]) -> Outcome:
        try:
            *counts, refused = self._call(self._path.isolate, rows)
        except psycopg.Error as error:
            if concerns_statement(error):
                raise
            # COPY refuses a value, such as one that the database's encoding lacks.
            middle = len(rows) // 2
            outcome = self.write(rows[:middle])
            outcome.add(self.write(rows[middle:]))
            return outcome
        outcome = Outcome.of(tuple(counts))
        by_id = {row[0]: row for row in rows}
        for clerk_id, *why in refused:
            refusal = Refusal(*why)
            if refusal.sqlstate in _TAKEN:  # perhaps only a race
                outcome.add(self.write([by_id[clerk_id]]))
            else:
                outcome.add(self._refused(by_id[clerk_id], refusal))
        return outcome

    def _refused(self, row: StagedRow, refusal: Refusal) -> Outcome:
        clerk_id, _, line = row
        if refusal.sqlstate == TOO_LONG:
            column = self._too_long.columns(values_of(line))
            refusal = refusal._replace(table=self._too_long.table, column=column)
        refusal.log("user not written", clerk_id)
        return Outcome(failed=[clerk_id], failures=[f"{clerk_id}: {refusal}"])

    def _call(self, function: Function, rows: list[StagedRow]) -> tuple[Any, ...]:
        return self._database.run(
            lambda connection: call_staged(
                connection, self._path, function, rows, self._flags
            )
        )
