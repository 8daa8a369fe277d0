"""The ledger of bulk runs, and what the runs in progress have listed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from clerksync.database import Database

_BEGIN: LiteralString = """
    WITH forgotten AS (  -- what runs that were killed had listed
        DELETE FROM {listed} AS l USING {runs} AS r
        WHERE r.run_id = l.run_id AND r.started_at < now() - interval '1 day'
    )
    INSERT INTO {runs} (mode, dry_run) VALUES (%s, %s) RETURNING run_id, started_at
"""
_FINISH: LiteralString = """
    WITH forgotten AS (DELETE FROM {listed} WHERE run_id = %(run_id)s)
    UPDATE {runs}
    SET status = %(status)s, finished_at = clock_timestamp(), report = %(report)s
    WHERE run_id = %(run_id)s
"""
_ACCEPTED_INSTANCE: LiteralString = """
    SELECT instance_id FROM {runs}
    WHERE instance_id IS NOT NULL
    ORDER BY started_at DESC
    LIMIT 1
"""
_ACCEPT_INSTANCE: LiteralString = """
    UPDATE {runs} SET instance_id = %s WHERE run_id = %s
"""
_WATERMARK: LiteralString = """
    SELECT max(started_at) FROM {runs}
    WHERE instance_id = %s AND status = 'completed' AND NOT dry_run
      AND mode IN ('full', 'incremental')
"""
_LIST: LiteralString = """
    INSERT INTO {listed} (run_id, clerk_ids) VALUES (%s, %s)
"""
_COUNT_LISTED: LiteralString = """
    SELECT count(DISTINCT clerk_id)
    FROM {listed}, unnest(clerk_ids) AS clerk_id
    WHERE run_id = %s
"""


@dataclass(frozen=True, slots=True)
class Run:
    run_id: UUID
    started_at: datetime
    """The database's clock."""


class RunLedger:
    def __init__(self, database: Database, schema: str) -> None:
        self._database = database
        self._tables = {
            "runs": sql.Identifier(schema, "sync_runs"),
            "listed": sql.Identifier(schema, "sync_run_listed"),
        }

    def begin(self, mode: str, *, dry_run: bool) -> Run:
        return Run(*self._one(_BEGIN, [mode, dry_run]))

    def finish(self, run: Run, status: str, report: dict[str, Any]) -> None:
        """Record how a run ended, and forget what it had listed."""
        self._execute(
            _FINISH,
            {"run_id": run.run_id, "status": status, "report": Jsonb(report)},
        )

    def accepted_instance(self) -> str | None:
        """The instance whose users the table holds, as far as the ledger knows."""
        row = self._execute(_ACCEPTED_INSTANCE)
        return row[0] if row else None

    def accept_instance(self, run: Run, instance_id: str) -> None:
        self._execute(_ACCEPT_INSTANCE, [instance_id, run.run_id])

    def watermark(self, instance_id: str) -> datetime | None:
        """When the last run began that saw everything of the instance until then."""
        watermark: datetime | None = self._one(_WATERMARK, [instance_id])[0]
        return watermark

    def record_listed(self, run: Run, clerk_ids: Sequence[str]) -> None:
        self._execute(_LIST, [run.run_id, list(clerk_ids)])

    def count_listed(self, run: Run) -> int:
        return int(self._one(_COUNT_LISTED, [run.run_id])[0])

    def _one(self, query: LiteralString, parameters: Any = None) -> tuple[Any, ...]:
        row = self._execute(query, parameters)
        if row is None:
            raise AssertionError("a query that always gives one row gave none")
        return row

    def _execute(
        self, query: LiteralString, parameters: Any = None
    ) -> tuple[Any, ...] | None:
        composed = sql.SQL(query).format(**self._tables)

        def work(connection: Any) -> tuple[Any, ...] | None:
            cursor = connection.execute(composed, parameters)
            row: tuple[Any, ...] | None = (
                cursor.fetchone() if cursor.description else None
            )
            return row

        return self._database.run(work)
