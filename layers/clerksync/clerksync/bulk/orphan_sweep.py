"""Find the users that Clerk no longer has, prove it, and delete them."""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from clerksync.bulk.clocks import at
from clerksync.bulk.deletions import Deletions
from clerksync.bulk.job import Job
from clerksync.bulk.report import Counts, ms_since
from clerksync.bulk.run_ledger import Run
from clerksync.clerk.user import IDS_LIMIT, ClerkUser
from clerksync.errors import RefusedError
from clerksync.write.asking import ask_for_all
from clerksync.write.companions import restore_companions
from clerksync.write.outcome import Change
from clerksync.write.user_table import UserTable

# The listing is hashed once; what is left is few, and looked up one by one. A run that
# has ended has forgotten its listing: ending it twice must not make all rows orphans.
_CANDIDATES: LiteralString = """
    WITH unlisted AS MATERIALIZED (
        SELECT u.{key} AS clerk_id, {tells_age} AS tells_age
        FROM {users} AS u
        LEFT JOIN (
            SELECT unnest(clerk_ids) AS clerk_id FROM {listed} WHERE run_id = %(run_id)s
        ) AS l ON l.clerk_id = u.{key}
        WHERE l.clerk_id IS NULL
          AND u.{key} LIKE 'user^_%%' ESCAPE '^' AND {live} AND {existed}
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
    SELECT count(*) FROM {users} AS u WHERE u.{key} LIKE 'user^_%' ESCAPE '^' AND {live}
"""
# A row that has no creation time and is not in sync_state is recorded at the end of a
# run, so that the next run can treat it as an orphan.
_NOTE_UNKNOWN: LiteralString = """
    INSERT INTO {sync_state} (clerk_id, synced_at)
    SELECT u.{key}, clock_timestamp()
    FROM {users} AS u
    LEFT JOIN {sync_state} AS s ON s.clerk_id = u.{key}
    WHERE s.clerk_id IS NULL AND NOT ({tells_age}) AND u.{key} ~ {clerk_id}
    ORDER BY u.{key} COLLATE "C"
    ON CONFLICT DO NOTHING
"""
# A user without a row is no orphan, but may have been deleted at Clerk. It was skipped,
# or a backup of one of the tables was restored. The latter shows in the counts, which
# cost less than comparing the tables.
_ROWLESS_UNLISTED: LiteralString = """
    WITH unlisted AS MATERIALIZED (
        SELECT s.clerk_id, s.skipped
        FROM {sync_state} AS s
        LEFT JOIN (
            SELECT unnest(clerk_ids) AS clerk_id FROM {listed} WHERE run_id = %(run_id)s
        ) AS l ON l.clerk_id = s.clerk_id
        WHERE l.clerk_id IS NULL
          AND s.deleted_at IS NULL AND s.synced_at < %(started_at)s
          AND (s.skipped IS NOT NULL OR (
              SELECT count(*) FROM {sync_state}
              WHERE deleted_at IS NULL AND skipped IS NULL
          ) > (
              SELECT count(*) FROM {users} AS u
              WHERE u.{key} LIKE 'user^_%%' ESCAPE '^' AND {live}
          ))
          AND EXISTS (
              SELECT FROM {runs} WHERE run_id = %(ends)s AND status = 'running'
          )
    )
    SELECT c.clerk_id
    FROM unlisted AS c
    WHERE c.skipped IS NOT NULL
       OR (
           SELECT true FROM {users} AS u WHERE u.{key} = c.clerk_id AND {live}
       ) IS NULL
    ORDER BY c.clerk_id
"""


def sweep(
    job: Job,
    run: Run,
    *,
    listed: int,
    created_before: int,
    gone: Sequence[str] = (),
    losers: Sequence[str] = (),
) -> Iterator[Counts]:
    """Delete the users that a complete listing lacked and that Clerk does not know.

    Only call it after a complete listing, of `listed` users `created_before` a time of
    Clerk's clock (Unix ms). Leaves out users that were created or synced since the walk
    began. Users who were listed, and then `gone` when Clerk was asked for them, are
    candidates too. Then completes what belongs to the users that stay, and writes the
    `losers` again, whose emails other rows had. Raises RefusedError if more candidates
    than a run may delete were found: none was deleted. Raises what Clerk raises; what
    was done before has been counted.
    """
    candidates = _candidates(job, run, created_before)
    candidates = [clerk_id for clerk_id in candidates if clerk_id not in set(gone)]
    refusal = _too_many(job, [*candidates, *gone], listed=listed)
    deletions = Deletions(job, unless_synced_since=run.walk_began_at)
    if refusal is not None:
        yield Counts(orphans_found=len(candidates) + len(gone))
    else:
        for start in range(0, len(candidates), IDS_LIMIT):
            batch = candidates[start : start + IDS_LIMIT]
            yield _sweep_batch(job, batch, deletions)
            job.setup.progress("sweep", start + len(batch), len(candidates))
        yield deletions.delete_locked()
        yield from _sweep_gone(job, gone)
        if deletions.deleted and job.request.mode == "full":
            yield from _restore_emails(job, sorted(losers))
    if not job.request.dry_run:
        began = time.monotonic()
        refused = restore_companions(job.setup.database, job.users)
        _note_unknown(job)
        if refusal is None:
            _forget_rowless(job, run, deletions)
        yield Counts(
            companions_failed=len(refused),
            failures=refused,
            write_ms=ms_since(began),
        )
    if refusal is not None:
        raise RefusedError(refusal)


def _sweep_gone(job: Job, gone: Sequence[str]) -> Iterator[Counts]:
    """Delete them though their tombstones may be younger than the walk."""
    for start in range(0, len(gone), IDS_LIMIT):
        deletions = Deletions(job, unless_synced_since=job.users.clock())
        yield _sweep_batch(job, gone[start : start + IDS_LIMIT], deletions)
        yield deletions.delete_locked()


def _candidates(job: Job, run: Run, created_before: int) -> list[str]:
    """The users of the table that the listing lacked."""
    users = job.users
    existed: LiteralString = "true"
    if users.mapping.created_at is not None:
        # By Clerk's clock, or by the database's if the application made the row.
        existed = """
            (u.{created_at} < least(%(created_before)s, %(started_at)s)) IS NOT FALSE
        """
    query = sql.SQL(_CANDIDATES).format(
        **users.names,
        existed=sql.SQL(existed).format(**users.names),
        tells_age=_tells_age(users),
    )
    parameters = _of_walk(run) | {"created_before": at(created_before)}

    def work(connection: psycopg.Connection) -> list[str]:
        return [row[0] for row in connection.execute(query, parameters)]

    return job.setup.database.run_hashed(work)


def _too_many(job: Job, candidates: Sequence[str], *, listed: int) -> str | None:
    """Return why so many candidates must not be deleted, or None if they may be.

    One is always allowed, except on an empty listing; a forced run may delete all.
    """
    if not candidates or job.request.force:
        return None
    ratio, table_size = job.setup.max_orphan_ratio, _table_size(job)
    allowed = int(ratio * table_size)
    if listed:
        allowed = max(allowed, 1)
    if len(candidates) <= allowed:
        return None
    return (
        f"{len(candidates)} of {table_size} users are not in Clerk's "
        f"listing, more than the share of {ratio:g} that a "
        "run may delete. None was deleted. If they are really gone, use force."
    )


def _sweep_batch(job: Job, batch: Sequence[str], deletions: Deletions) -> Counts:
    confirmed_at = job.users.clock()
    began = time.monotonic()
    known, unreadable = ask_for_all(job.clerk.users_by_id, batch)
    prove_ms = ms_since(began)
    orphans = sorted(set(batch) - {user.id for user in known} - unreadable)
    counts = _write_known(job, known, unreadable, confirmed_at)
    counts.orphans_found, counts.prove_ms = len(orphans), prove_ms
    dry_run = job.request.dry_run
    if dry_run:
        for clerk_id in orphans:
            job.setup.on_change(Change("deleted", clerk_id))
    else:
        counts.add(deletions.delete(orphans))
    return counts


def _write_known(
    job: Job, known: Sequence[ClerkUser], unreadable: set[str], confirmed_at: datetime
) -> Counts:
    """Write users that were looked up by ID."""
    written = job.users.upsert_many(
        known, confirmed_at=confirmed_at, dry_run=job.request.dry_run
    )
    job.note(written)
    counts = Counts.of(written)
    counts.fetched += len(known) + len(unreadable)
    counts.failed += len(unreadable)
    counts.skipped += len(written.tombstoned)
    return counts


def _restore_emails(job: Job, losers: Sequence[str]) -> Iterator[Counts]:
    """Write the users again who were written without an email, because an orphan that
    is deleted by now may have had it. They have been counted before."""
    for start in range(0, len(losers), IDS_LIMIT):
        confirmed_at = job.users.clock()
        batch = losers[start : start + IDS_LIMIT]
        known, _ = ask_for_all(job.clerk.users_by_id, batch)
        outcome = job.users.upsert_many(known, confirmed_at=confirmed_at)
        yield Counts(email_conflicts=-outcome.updated)


def _note_unknown(job: Job) -> None:
    """Record rows that have no creation time, so that the next run knows of them."""
    users = job.users
    query = sql.SQL(_NOTE_UNKNOWN).format(**users.names, tells_age=_tells_age(users))
    job.setup.database.run_hashed(lambda connection: connection.execute(query))


def _forget_rowless(job: Job, run: Run, deletions: Deletions) -> None:
    """Leave tombstones for users without a row that the listing lacked and that Clerk,
    asked by ID, does not know: otherwise a late webhook could revive them. Leaves
    out users that any entry point has met since the walk began."""
    query = sql.SQL(_ROWLESS_UNLISTED).format(**job.users.names)
    unlisted = job.setup.database.run_hashed(
        lambda connection: [row[0] for row in connection.execute(query, _of_walk(run))]
    )
    for start in range(0, len(unlisted), IDS_LIMIT):
        batch = unlisted[start : start + IDS_LIMIT]
        users, unreadable = ask_for_all(job.clerk.users_by_id, batch)
        known = {user.id for user in users} | unreadable
        gone = [clerk_id for clerk_id in batch if clerk_id not in known]
        deletions.delete(gone)


def _of_walk(run: Run) -> dict[str, Any]:
    return {
        "ends": run.run_id,
        "run_id": run.walk_id,
        "started_at": run.walk_began_at,
    }


def _tells_age(users: UserTable) -> sql.Composable:
    """An application's table may have no created_at, or rows without one."""
    if users.mapping.created_at is None:
        return sql.SQL("false")
    return sql.SQL("u.{created_at} IS NOT NULL").format(**users.names)


def _table_size(job: Job) -> int:
    query = sql.SQL(_TABLE_SIZE).format(**job.users.names)
    return job.setup.database.run(lambda c: int(c.execute(query).fetchall()[0][0]))
