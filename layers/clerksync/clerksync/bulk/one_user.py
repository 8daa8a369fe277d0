"""A run for one user: ask Clerk by ID, then write or delete the user."""

from clerksync.bulk.deletions import Deletions
from clerksync.bulk.job import Job
from clerksync.bulk.report import Counts
from clerksync.write.outcome import Change


def sync_one_user(job: Job, clerk_id: str) -> Counts:
    """Write the user as Clerk has it now, or delete one that Clerk does not know.

    The user was found if `fetched` is 1.
    """
    confirmed_at = job.users.clock()
    user = job.clerk.user(clerk_id)
    if user is not None:
        job.users.doubt_claims(before=confirmed_at)
        outcome = job.users.upsert_many(
            [user], confirmed_at=confirmed_at, dry_run=job.request.dry_run
        )
        job.note(outcome)
        counts = Counts.of(outcome)
        counts.fetched += 1
        counts.skipped += len(outcome.tombstoned)
        return counts
    counts = Counts(orphans_found=1 if job.users.find(clerk_id) else 0)
    if not job.request.dry_run:
        # A webhook may have written the user since Clerk was asked.
        deletions = Deletions(job, unless_synced_since=confirmed_at)
        counts.add(deletions.delete([clerk_id]))
        counts.add(deletions.delete_locked())
    elif counts.orphans_found:
        job.setup.on_change(Change("deleted", clerk_id))
    return counts
