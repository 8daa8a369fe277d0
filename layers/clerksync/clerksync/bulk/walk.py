"""The walk of a run: read Clerk's listing, record every ID, and write the users."""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing

from clerksync.bulk.fetch import Batches, Fetched, fetch_pages, fetch_windows
from clerksync.bulk.job import CLERK_ERRORS, Job
from clerksync.bulk.listing import updated_pages
from clerksync.bulk.report import Counts, ms_since
from clerksync.bulk.run_ledger import Run
from clerksync.bulk.windows import Windows
from clerksync.clerk.user import IDS_LIMIT, Page
from clerksync.observability import logger
from clerksync.write.asking import ask_for_all
from clerksync.write.batch import SlowBatchError
from clerksync.write.rows import Prepared, StagedRow

Walked = Generator[Counts, None, None]
"""What became of the users, batch by batch. Raises what ended the listing, after
everything that it gave has been written and counted."""


def walk_windows(job: Job, run: Run, windows: Windows) -> Walked:
    """Walk over all users."""
    job.users.doubt_claims(before=run.walk_began_at)
    workers = job.setup.workers
    batches = fetch_windows(job.clerk, windows, _prepare(job), workers=workers)
    return _written(job, run, batches)


def walk_changes(job: Job, run: Run, *, since: int) -> Walked:
    """Walk over the users updated since a time of Clerk's clock (Unix ms)."""
    job.users.doubt_claims(before=run.walk_began_at)
    pages = updated_pages(job.clerk, since=since)
    return _written(job, run, fetch_pages(job.clerk, pages, _prepare(job)))


def _prepare(job: Job) -> Callable[[Page], Prepared]:
    """What can be done without the database, for the thread that decodes."""
    if job.request.mode == "cleanup":
        return lambda _: Prepared([], [])
    return lambda page: job.users.rows.prepare(page.users)


def _written(job: Job, run: Run, batches: Batches) -> Walked:
    locked: list[StagedRow] = []
    with closing(batches):  # whatever ends this, the threads end first
        try:
            for batch in batches:
                yield from _write(job, run, batch, locked)
        except CLERK_ERRORS:
            yield _write_locked(job, locked)
            raise
    yield _write_locked(job, locked)


def _write_locked(job: Job, locked: list[StagedRow]) -> Counts:
    """Try again, at the end, to write the rows that the application had locked. Until
    then they count as failed, so that no checkpoint forgets them."""
    began = time.monotonic()
    outcome = job.users.upsert_locked(locked)
    counts = Counts.of(outcome)
    counts.skipped += len(outcome.tombstoned) + len(outcome.ahead)
    counts.failed -= len(locked)
    counts.write_ms = ms_since(began)
    return counts


def _write(
    job: Job, run: Run, batch: list[Fetched], locked: list[StagedRow]
) -> Iterator[Counts]:
    ids = [clerk_id for page in batch for clerk_id in page.ids]
    job.setup.ledger.record_listed(run, ids)
    try:
        yield from _write_pages(job, batch, locked)
    except SlowBatchError:
        # Page by page, so that a later run can resume after each.
        for page in batch:
            yield from _write_pages(job, [page], locked)


def _write_pages(
    job: Job, batch: list[Fetched], locked: list[StagedRow]
) -> Iterator[Counts]:
    began = time.monotonic()
    prepared = Prepared([], [])
    for page in batch:
        prepared.add(page.prepared)
    outcome = job.users.upsert_prepared(
        prepared, dry_run=job.request.dry_run, at_once=len(batch) > 1
    )
    job.note(outcome)
    counts = Counts.of(outcome)
    counts.fetched += sum(page.size for page in batch)
    counts.failed += len(outcome.locked)
    locked += outcome.locked
    if job.request.mode != "cleanup":
        counts.failed += sum(page.unreadable for page in batch)
    counts.write_ms = ms_since(began)
    unconfirmed = outcome.tombstoned + outcome.ahead
    try:
        while unconfirmed:
            counts.add(_confirm(job, unconfirmed[:IDS_LIMIT], set(outcome.ahead)))
            unconfirmed = unconfirmed[IDS_LIMIT:]
    except CLERK_ERRORS:
        counts.skipped += len(unconfirmed)
        yield counts
        raise
    for page in batch:
        page.note_written()
    yield counts


def _confirm(job: Job, clerk_ids: list[str], ahead: set[str]) -> Counts:
    """Listed, and deleted or newer here: only Clerk's response by ID, asked now,
    counts."""
    confirmed_at = job.users.clock()
    known, unreadable = ask_for_all(job.clerk.users_by_id, clerk_ids)
    outcome = job.users.upsert_many(
        known, confirmed_at=confirmed_at, dry_run=job.request.dry_run
    )
    job.note(outcome)
    if doubted := sorted(ahead & {user.id for user in known}):
        logger.warning(
            "sync_state had newer versions than Clerk's listing; asked Clerk by ID",
            clerk_ids=doubted,
            written=outcome.created + outcome.updated,
        )
    counts = Counts.of(outcome)
    counts.failed += len(unreadable)
    counts.skipped += len(clerk_ids) - len(known) - len(unreadable)
    counts.skipped += len(outcome.tombstoned)
    return counts
