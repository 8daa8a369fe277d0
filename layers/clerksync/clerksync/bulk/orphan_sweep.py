"""Find the users who are gone from Clerk, prove it, and delete them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from clerksync.bulk.report import ms_since
from clerksync.bulk.run_ledger import Run
from clerksync.clerk.api import ClerkApi
from clerksync.clerk.user import IDS_LIMIT
from clerksync.observability import describe, logger
from clerksync.postgres.database import Database
from clerksync.write.deletion import BLOCKED, obstacle
from clerksync.write.outcome import Outcome
from clerksync.write.user_table import UserTable

# The listing is hashed once; what is left is few, and looked up one by one. A run that
# has ended has forgotten its listing: whoever ends it twice must not take all for gone.
_CANDIDATES: LiteralString = """
    WITH unlisted AS MATERIALIZED (
        SELECT u.{key} AS clerk_id, {tells_age} AS tells_age
        FROM {users} AS u
        LEFT JOIN (
            SELECT unnest(clerk_ids) AS clerk_id FROM {listed} WHERE run_id = %(run_id)s
        ) AS l ON l.clerk_id = u.{key}
        WHERE l.clerk_id IS NULL
          AND u.{key} LIKE 'user\\_%%' AND {live} AND {existed}
          AND EXISTS (
              SELECT FROM {runs} WHERE run_id = %(ends)s AND status = 'running'
          )
    )
    SELECT c.clerk_id
    FROM unlisted AS c
    WHERE c.clerk_id ~ {clerk_id}
      AND coalesce((
          SELECT s.synced_at FROM {sync_state} AS s WHERE s.clerk_id = c.clerk_id
      ) < %(started_at)s, c.tells_age)
    ORDER BY c.clerk_id
"""
_TABLE_SIZE: LiteralString = """
    SELECT count(*) FROM {users} AS u WHERE u.{key} LIKE 'user\\_%' AND {live}
"""
# What tells not when it was made, and nobody knows of, is noted at the end of a run:
# the next one may take it for an orphan.
_NOTE_UNKNOWN: LiteralString = """
    INSERT INTO {sync_state} (clerk_id, synced_at)
    SELECT u.{key}, clock_timestamp()
    FROM {users} AS u
    LEFT JOIN {sync_state} AS s ON s.clerk_id = u.{key}
    WHERE s.clerk_id IS NULL AND NOT ({tells_age}) AND u.{key} ~ {clerk_id}
    ORDER BY u.{key} COLLATE "C"
    ON CONFLICT DO NOTHING
"""
# Who got no row is no orphan, and may be gone all the same.
_SKIPPED_UNLISTED: LiteralString = """
    SELECT s.clerk_id
    FROM {sync_state} AS s
    LEFT JOIN (
        SELECT unnest(clerk_ids) AS clerk_id FROM {listed} WHERE run_id = %(run_id)s
    ) AS l ON l.clerk_id = s.clerk_id
    WHERE l.clerk_id IS NULL
      AND s.skipped IS NOT NULL AND s.deleted_at IS NULL
      AND s.synced_at < %(started_at)s
      AND EXISTS (
          SELECT FROM {runs} WHERE run_id = %(ends)s AND status = 'running'
      )
    ORDER BY s.clerk_id
"""


@dataclass(slots=True)
class Sweep:
    """What a sweep found and did."""

    candidates: int = 0
    table_size: int = 0
    refused: bool = False
    orphans: int = 0
    """Candidates that Clerk, asked by id, did not know."""
    deleted: int = 0
    blocked: int = 0
    """Orphans that the application's own tables hold fast."""
    obstacles: set[str] = field(default_factory=set)
    """What holds them: tables and constraints."""
    missed: Outcome = field(default_factory=Outcome)
    """Candidates that Clerk knew all the same: what became of them."""
    missed_count: int = 0
    prove_ms: int = 0


def sweep_orphans(
    run: Run,
    sweep: Sweep,
    *,
    database: Database,
    users: UserTable,
    clerk: ClerkApi,
    listed: int,
    max_ratio: float,
    force: bool,
    dry_run: bool,
    progress: Callable[[int, int], None],
) -> None:
    """Delete the users that a complete listing lacked and that Clerk does not know.

    Only call it after a complete listing. `listed` is how many users that had. Spares
    whoever was created or synced since the run began. Refuses, and deletes nothing,
    when the candidates are more than `max_ratio` of the table, unless forced; one is
    always allowed, but not on an empty listing. What was done is told in `sweep`, also
    when Clerk gives up half-way and this raises.
    """
    candidates = _candidates(run, database, users)
    sweep.candidates = len(candidates)
    if not candidates:
        return
    sweep.table_size = _table_size(database, users)
    allowed = int(max_ratio * sweep.table_size)
    if listed:
        allowed = max(allowed, 1)
    if len(candidates) > allowed and not force:
        sweep.refused = True
        return
    for start in range(0, len(candidates), IDS_LIMIT):
        batch = candidates[start : start + IDS_LIMIT]
        _sweep_batch(run, batch, sweep, users=users, clerk=clerk, dry_run=dry_run)
        progress(start + len(batch), len(candidates))


def note_unknown(database: Database, users: UserTable) -> None:
    """Where rows do not tell when they were made: let the next run know which there
    were."""
    query = sql.SQL(_NOTE_UNKNOWN).format(**users.names, tells_age=_tells_age(users))
    database.run_hashed(lambda connection: connection.execute(query))


def forget_skipped(
    run: Run, *, database: Database, users: UserTable, clerk: ClerkApi
) -> None:
    """Leave tombstones for those without a row whom a complete listing lacked and whom
    Clerk, asked by id, does not know: nobody else would ever take back that they were
    skipped. Spares whom any door has met since the walk began.

    Only call it after a complete listing. Raises what Clerk raises.
    """
    query = sql.SQL(_SKIPPED_UNLISTED).format(**users.names)
    unlisted = database.run_hashed(
        lambda connection: [row[0] for row in connection.execute(query, _of_walk(run))]
    )
    for start in range(0, len(unlisted), IDS_LIMIT):
        batch = unlisted[start : start + IDS_LIMIT]
        known = {user.id for user in clerk.users_by_id(batch)}
        gone = [clerk_id for clerk_id in batch if clerk_id not in known]
        users.delete(gone, unless_synced_since=run.walk_began_at)


def _of_walk(run: Run) -> dict[str, Any]:
    return {
        "ends": run.run_id,
        "run_id": run.walk_id,
        "started_at": run.walk_began_at,
    }


def _tells_age(users: UserTable) -> sql.Composable:
    """An application's table may have no created_at, or rows without."""
    if users.mapping.created_at is None:
        return sql.SQL("false")
    return sql.SQL("u.{created_at} IS NOT NULL").format(**users.names)


def _sweep_batch(
    run: Run,
    batch: Sequence[str],
    sweep: Sweep,
    *,
    users: UserTable,
    clerk: ClerkApi,
    dry_run: bool,
) -> None:
    confirmed_at = users.clock()
    began = time.monotonic()
    known = clerk.users_by_id(batch)
    sweep.prove_ms += ms_since(began)
    orphans = sorted(set(batch) - {user.id for user in known})
    sweep.orphans += len(orphans)
    sweep.missed_count += len(known)
    sweep.missed.add(
        users.upsert_many(known, confirmed_at=confirmed_at, dry_run=dry_run)
    )
    if not dry_run:
        delete_orphans(orphans, sweep, users, unless_synced_since=run.walk_began_at)


def delete_orphans(
    orphans: Sequence[str],
    sweep: Sweep,
    users: UserTable,
    *,
    unless_synced_since: datetime | None = None,
) -> None:
    """Delete together; where one of them is held fast, halve until it stands alone."""
    if not orphans:
        return
    try:
        sweep.deleted += users.delete(orphans, unless_synced_since=unless_synced_since)
    except BLOCKED as error:
        if len(orphans) == 1:
            logger.error("user not deleted", clerk_id=orphans[0], **describe(error))
            sweep.blocked += 1
            sweep.obstacles.add(obstacle(error))
            return
        middle = len(orphans) // 2
        for half in (orphans[:middle], orphans[middle:]):
            delete_orphans(half, sweep, users, unless_synced_since=unless_synced_since)


def _candidates(run: Run, database: Database, users: UserTable) -> list[str]:
    existed: LiteralString = "true"
    if users.mapping.created_at is not None:
        existed = "(u.{created_at} < %(started_at)s) IS NOT FALSE"
    query = sql.SQL(_CANDIDATES).format(
        **users.names,
        existed=sql.SQL(existed).format(**users.names),
        tells_age=_tells_age(users),
    )
    parameters = _of_walk(run)

    def work(connection: psycopg.Connection) -> list[str]:
        return [row[0] for row in connection.execute(query, parameters)]

    return database.run_hashed(work)


def _table_size(database: Database, users: UserTable) -> int:
    query = sql.SQL(_TABLE_SIZE).format(**users.names)
    return database.run(lambda c: int(c.execute(query).fetchall()[0][0]))
