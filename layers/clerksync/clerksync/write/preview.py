"""A dry run of the upsert, and the users that unmanaged rows hold back. Only reads."""

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Final

import psycopg
from psycopg import sql

from clerksync.mapping.table import TableMapping
from clerksync.postgres.database import Database
from clerksync.write.email_rule import EmailRule, ReadRule
from clerksync.write.outcome import Change, Outcome
from clerksync.write.preview_sql import (
    has_unmanaged_query,
    held_back_query,
    preview_query,
)
from clerksync.write.refused_row import Refusal, concerns_statement
from clerksync.write.rows import StagedRow
from clerksync.write.sql_functions import WritePath, build
from clerksync.write.staging import stage

# As for the functions of the write path: times in UTC, and no scans for each batch.
_SETTINGS: Final = (
    "SET LOCAL timezone = 'UTC'",
    "SET LOCAL work_mem = '64MB'",
    "SET LOCAL random_page_cost = 1.1",
)


class Preview:
    """Looks at staged users beside the table. One for each run."""

    def __init__(
        self,
        database: Database,
        mapping: TableMapping,
        schema: str,
        *,
        require_email: bool,
        read_rule: ReadRule,
        doubted_before: datetime | None = None,
    ) -> None:
        self._database = database
        self._mapping = mapping
        self._schema = schema
        self._require_email = require_email
        self._read_rule = read_rule
        self._doubted_before = doubted_before
        self._has_unmanaged: bool | None = None

    @cached_property
    def _path(self) -> WritePath:
        return build(self._mapping, self._schema)

    @cached_property
    def _rule(self) -> EmailRule | None:
        return self._database.run(
            lambda c: self._read_rule(c, self._mapping, self._schema)
        )

    @cached_property
    def _query(self) -> sql.Composed:
        return preview_query(
            self._mapping,
            self._schema,
            self._path.staged,
            self._rule,
            require_email=self._require_email,
            doubted_before=self._doubted_before,
        )

    def outcome(self, rows: list[StagedRow]) -> Outcome:
        """Return what would become of the users, with the changes by name. Constraints
        and triggers of the table are not asked."""
        try:
            found = self._ask(self._query, rows)
        except psycopg.Error as error:
            if concerns_statement(error) or not rows:
                raise
            return self._without_refused(rows, error)
        outcome = Outcome()
        for clerk_id, verdict, columns, is_held, conflicts in found:
            if verdict in {"tombstoned", "ahead"}:
                getattr(outcome, verdict).append(clerk_id)
                continue
            setattr(outcome, verdict, getattr(outcome, verdict) + 1)
            outcome.email_conflicts += conflicts
            outcome.held_back += is_held
            if verdict in {"created", "updated"}:
                named = tuple(columns) if verdict == "updated" else ()
                outcome.changes.append(Change(verdict, clerk_id, named))
            if is_held:
                outcome.changes.append(Change("held_back", clerk_id))
        return outcome

    def held_back(self, rows: list[StagedRow]) -> int:
        """Count the users whose email an unmanaged row holds."""
        if not self._are_unmanaged():
            return 0
        query = held_back_query(
            self._mapping, self._schema, self._path.staged, self._rule
        )
        try:
            return int(self._ask(query, rows)[0][0])
        except psycopg.Error as error:
            if concerns_statement(error) or not rows:
                raise
            if len(rows) == 1:
                return 0  # its row was refused, too
        middle = len(rows) // 2
        return self.held_back(rows[:middle]) + self.held_back(rows[middle:])

    def _are_unmanaged(self) -> bool:
        """Whether any unmanaged row has an email; looked at once."""
        if self._has_unmanaged is None:
            query = has_unmanaged_query(self._mapping, self._schema)
            self._has_unmanaged = self._database.run(
                lambda connection: bool(connection.execute(query).fetchall()[0][0])
            )
        return self._has_unmanaged

    def _without_refused(self, rows: list[StagedRow], error: psycopg.Error) -> Outcome:
        """COPY refuses a value, such as one that the database's encoding lacks."""
        self._ask(self._query, [])  # raises if the statement itself is refused
        if len(rows) == 1:
            refusal, clerk_id = Refusal.of(error), rows[0][0]
            return Outcome(failed=[clerk_id], failures=[f"{clerk_id}: {refusal}"])
        middle = len(rows) // 2
        outcome = self.outcome(rows[:middle])
        outcome.add(self.outcome(rows[middle:]))
        return outcome

    def _ask(
        self, query: sql.Composed, rows: Sequence[StagedRow]
    ) -> list[tuple[Any, ...]]:
        def work(connection: psycopg.Connection) -> list[tuple[Any, ...]]:
            with connection.transaction():
                for setting in _SETTINGS:
                    connection.execute(setting)
                stage(connection, self._path, rows)
                return connection.execute(query).fetchall()

        return self._database.run(work)
