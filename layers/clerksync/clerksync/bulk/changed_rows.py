"""Rows that something else than an entry point has changed since a walk's checkpoint.

A run that resumes a walk trusts what earlier runs have written. Meanwhile the tables
may have been restored from a backup. Each row has the transaction that wrote it,
`xmin`, and an entry point writes a row in the transaction of its claim in `sync_state`.
"""

from collections.abc import Iterator, Sequence
from typing import Final, LiteralString

import psycopg
from psycopg import sql

from clerksync.bulk.job import Job
from clerksync.bulk.report import Counts
from clerksync.bulk.run_ledger import Run
from clerksync.clerk.user import IDS_LIMIT
from clerksync.write.asking import ask_for_all

CHANGED_A_LOT: Final = (
    "The tables have changed a lot since the last run, as by a restore. Run again: "
    "the next run starts over."
)
_ALWAYS_LOOKED_AT: Final = 10_000

# The 32 bits of an xmin become the xid8 that was assigned last with these bits. A claim
# that is newer than the checkpoint says so in synced_at, unless it was restored. A row
# that is newer than its claim was changed by the application, or was restored: only
# Clerk can say what it should be. A listed user has a row, or a reason for having none.
_CHANGED: LiteralString = """
    WITH now AS (
        SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS xid
    ), known AS (
        SELECT coalesce(u.{key}, s.clerk_id) AS clerk_id,
               u.{key} IS NOT NULL AND {live} AS has_row,
               s.clerk_id IS NOT NULL AS is_known, s.deleted_at, s.skipped, s.synced_at,
               now.xid - ((now.xid - u.xmin::text::bigint) & 4294967295) AS written,
               now.xid - ((now.xid - s.xmin::text::bigint) & 4294967295) AS claimed
        FROM {users} AS u
        FULL JOIN {sync_state} AS s ON s.clerk_id = u.{key}
        CROSS JOIN now
    )
    SELECT clerk_id
    FROM known
    WHERE has_row AND deleted_at IS NOT NULL AND clerk_id ~ {clerk_id}
    UNION
    SELECT l.clerk_id
    FROM (
        SELECT unnest(clerk_ids) AS clerk_id FROM {listed} WHERE run_id = %(walk_id)s
    ) AS l
    LEFT JOIN known AS k ON k.clerk_id = l.clerk_id
    WHERE k.is_known IS NOT TRUE
       OR NOT k.has_row AND k.deleted_at IS NULL AND k.skipped IS NULL
       OR k.synced_at < %(kept_at)s::timestamptz
          AND NOT pg_visible_in_snapshot(
              k.claimed::text::xid8, %(snapshot)s::pg_snapshot
          )
       OR k.has_row AND k.written > k.claimed
          AND NOT pg_visible_in_snapshot(
              k.written::text::xid8, %(snapshot)s::pg_snapshot
          )
    ORDER BY clerk_id
"""


def most_looked_at(listed: int) -> int:
    """Return how many changed rows a run looks at again. More are left to a new walk,
    which costs less."""
    return max(_ALWAYS_LOOKED_AT, listed // 10)


def changed_since_checkpoint(job: Job, run: Run) -> list[str]:
    """Return the users whose rows are not what an entry point has written, if `run`
    resumes a walk. Rows that only the application has changed are among them."""
    if run.snapshot is None or job.request.mode == "cleanup":
        return []
    query = sql.SQL(_CHANGED).format(**job.users.names)
    parameters = {
        "walk_id": run.walk_id,
        "snapshot": run.snapshot,
        "kept_at": run.kept_at,
    }

    def work(connection: psycopg.Connection) -> list[str]:
        return [row[0] for row in connection.execute(query, parameters)]

    return job.setup.database.run_hashed(work)


def look_again(
    job: Job, clerk_ids: Sequence[str]
) -> Iterator[tuple[Counts, list[str]]]:
    """Ask Clerk for users by ID and write them; also yields those it does not know."""
    for start in range(0, len(clerk_ids), IDS_LIMIT):
        batch = clerk_ids[start : start + IDS_LIMIT]
        confirmed_at = job.users.clock()
        known, unreadable = ask_for_all(job.clerk.users_by_id, batch)
        outcome = job.users.upsert_many(known, confirmed_at=confirmed_at)
        counts = Counts.of(outcome)
        counts.fetched += len(known) + len(unreadable)
        counts.failed += len(unreadable)
        counts.skipped += len(outcome.tombstoned)
        unknown = set(batch) - {user.id for user in known} - unreadable
        yield counts, sorted(unknown)
