"""The ledger of bulk runs, and what the runs in progress have listed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from clerksync.postgres.database import Database
from clerksync.write.instance import ACCEPTED

_BEGIN: LiteralString = """
    WITH forgotten AS (  -- of runs that were killed, and of walks nobody went on with
        DELETE FROM {listed} AS l USING {runs} AS r
        WHERE r.run_id = l.run_id AND r.started_at < now() - interval '1 day'
    ), outdated AS (
        UPDATE {runs} SET checkpoint = NULL
        WHERE checkpoint IS NOT NULL AND started_at < now() - interval '1 day'
    )
    INSERT INTO {runs} (mode, dry_run) VALUES (%s, %s) RETURNING run_id, started_at
"""
# A walk is resumed once, and soon: a run that comes second starts over, and
# so does one after a completed run, or after a different instance had the table. A run
# that says running for longer than Lambda lets one run was killed. Asked once more,
# after a lost response, it gives a run what it has given it before.
_TAKE_OVER: LiteralString = """
    WITH unfinished AS (
        SELECT r.run_id, r.checkpoint, walk.run_id AS walk_id, walk.started_at
        FROM {runs} AS r
        JOIN {runs} AS walk ON walk.run_id = coalesce(r.continues, r.run_id)
        WHERE r.checkpoint IS NOT NULL
          AND (r.run_id = %(run_id)s
               OR r.status <> 'running' OR r.started_at < now() - interval '16 minutes')
          AND r.mode = %(mode)s AND r.instance_id = %(instance_id)s
          AND coalesce(r.finished_at, r.started_at) > now() - %(within)s
          AND walk.started_at > now() - interval '1 day'
          AND r.checkpoint ? 'snapshot'
          AND NOT EXISTS (
              SELECT FROM {runs} AS c
              WHERE c.started_at > walk.started_at AND NOT c.dry_run
                AND (c.instance_id <> r.instance_id
                     OR (c.status = 'completed' AND c.mode = r.mode))
          )
        ORDER BY r.started_at DESC
        LIMIT 1
        FOR UPDATE OF r SKIP LOCKED
    ), given_away AS (
        UPDATE {runs} AS r SET checkpoint = NULL
        FROM unfinished WHERE r.run_id = unfinished.run_id AND r.run_id <> %(run_id)s
    )
    UPDATE {runs} AS r
    SET continues = unfinished.walk_id, checkpoint = unfinished.checkpoint
    FROM unfinished
    WHERE r.run_id = %(run_id)s
    RETURNING unfinished.walk_id, unfinished.started_at, unfinished.checkpoint
"""
_FINISH: LiteralString = """
    WITH forgotten AS (
        DELETE FROM {listed}
        WHERE run_id = %(walk_id)s AND %(checkpoint)s::jsonb IS NULL
    )
    UPDATE {runs}
    SET status = %(status)s, finished_at = clock_timestamp(), report = %(report)s,
        checkpoint = {marked} || %(checkpoint)s::jsonb,
        continues = nullif(%(walk_id)s, run_id)
    WHERE run_id = %(run_id)s AND status = 'running'
"""
# What the database looked like at the first checkpoint of a walk; later ones repeat it.
# A run that resumes the walk tells from it which rows have changed since.
_MARKED: LiteralString = """jsonb_build_object(
        'snapshot', pg_current_snapshot()::text, 'kept_at', clock_timestamp()
    )"""
_FIND: LiteralString = """
    SELECT started_at, CASE WHEN status <> 'running' THEN report END
    FROM {runs} WHERE run_id = %s
"""
_CHECKPOINT: LiteralString = """
    UPDATE {runs} SET checkpoint = {marked} || %s::jsonb WHERE run_id = %s
"""
_ACCEPT_INSTANCE: LiteralString = """
    UPDATE {runs} SET instance_id = %s WHERE run_id = %s
"""
_WATERMARK: LiteralString = """
    SELECT max(
        walk.started_at
        + coalesce((r.report ->> 'clerk_ahead_ms')::bigint, 0) * interval '1 ms'
    )
    FROM {runs} AS r
    JOIN {runs} AS walk ON walk.run_id = coalesce(r.continues, r.run_id)
    WHERE r.instance_id = %s AND r.status = 'completed' AND NOT r.dry_run
      AND r.mode IN ('full', 'incremental')
"""
_LIST: LiteralString = """
    INSERT INTO {listed} (run_id, clerk_ids) VALUES (%s, string_to_array(%s, ','))
"""
_COUNT_LISTED: LiteralString = """
    SELECT count(*)
    FROM (SELECT DISTINCT unnest(clerk_ids) FROM {listed} WHERE run_id = %s) AS ids
"""


@dataclass(frozen=True, slots=True)
class Run:
    run_id: UUID
    walk_id: UUID
    """The run that began the walk: this one, or the one it goes on with."""
    walk_began_at: datetime
    """The database's clock."""
    snapshot: str | None = None
    """Of the walk's first checkpoint, if this run resumes a walk. A pg_snapshot."""
    kept_at: str | None = None
    """When that was, by the database's clock."""


class RunLedger:
    def __init__(self, database: Database, schema: str) -> None:
        self._database = database
        self._tables = {
            "runs": sql.Identifier(schema, "sync_runs"),
            "listed": sql.Identifier(schema, "sync_run_listed"),
            "marked": sql.SQL(_MARKED),
        }

    def begin(self, mode: str, *, dry_run: bool) -> Run:
        run_id, started_at = self._one(_BEGIN, [mode, dry_run])
        return Run(run_id, run_id, started_at)

    def take_over(
        self, run: Run, *, mode: str, instance_id: str, within: timedelta
    ) -> tuple[Run, dict[str, Any]] | None:
        """Resume a walk that another run left unfinished, not longer ago than that.

        Returns the run as one that resumes, and the checkpoint that it begins with.
        """
        row = self._execute(
            _TAKE_OVER,
            {
                "run_id": run.run_id,
                "mode": mode,
                "instance_id": instance_id,
                "within": within,
            },
        )
        if row is None:
            return None
        walk_id, began_at, checkpoint = row
        resuming = replace(
            run,
            walk_id=walk_id,
            walk_began_at=began_at,
            snapshot=checkpoint["snapshot"],
            kept_at=checkpoint["kept_at"],
        )
        return resuming, checkpoint

    def keep_checkpoint(self, run: Run, checkpoint: dict[str, Any]) -> None:
        """For the case that this run is killed."""
        self._execute(_CHECKPOINT, [Jsonb(checkpoint), run.run_id])

    def finish(
        self,
        run: Run,
        status: str,
        report: dict[str, Any],
        checkpoint: dict[str, Any] | None = None,
    ) -> None:
        """Record how a run ended, once. Without a checkpoint, forget what it had
        listed."""
        self._execute(
            _FINISH,
            {
                "run_id": run.run_id,
                "walk_id": run.walk_id,
                "status": status,
                "report": Jsonb(report),
                "checkpoint": Jsonb(checkpoint) if checkpoint else None,
            },
        )

    def find(self, run_id: UUID) -> tuple[Run, dict[str, Any] | None] | None:
        """A run that began its own walk, and its report if it has ended."""
        row = self._execute(_FIND, [run_id])
        if row is None:
            return None
        return Run(run_id, run_id, row[0]), row[1]

    def accepted_instance(self) -> str | None:
        """The instance whose users the table holds, as far as the ledger knows."""
        row = self._execute(ACCEPTED)
        return row[0] if row else None

    def accept_instance(self, run: Run, instance_id: str) -> None:
        self._execute(_ACCEPT_INSTANCE, [instance_id, run.run_id])

    def watermark(self, instance_id: str) -> datetime | None:
        """When the last run began that saw everything of the instance until then, by
        Clerk's clock."""
        watermark: datetime | None = self._one(_WATERMARK, [instance_id])[0]
        return watermark

    def record_listed(self, run: Run, clerk_ids: Sequence[str]) -> None:
        # One text: as a list, each id would be looked at for what must be escaped.
        self._execute(_LIST, [run.walk_id, ",".join(clerk_ids)])

    def count_listed(self, run: Run) -> int:
        return int(self._one(_COUNT_LISTED, [run.walk_id])[0])

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
            # In binary, a time is the same whatever DateStyle the session has.
            cursor = connection.execute(composed, parameters, binary=True)
            row: tuple[Any, ...] | None = (
                cursor.fetchone() if cursor.description else None
            )
            return row

        return self._database.run(work)
