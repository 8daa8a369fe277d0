"""Delete the users that Clerk does not know."""

import time
from collections.abc import Sequence
from datetime import datetime

import psycopg
from psycopg import errors

from clerksync.bulk.job import Job
from clerksync.bulk.report import Counts
from clerksync.clerk.api import GRACE_SECONDS
from clerksync.errors import OutOfTimeError
from clerksync.write.locks import locked_ids, took_too_long, until_unlocked
from clerksync.write.refused_row import (
    Refusal,
    RefusalLog,
    concerns_statement,
    obstacle,
)


class Deletions:
    """Deletes the orphans of one sweep. One that is referenced, or locked by the
    application, costs nothing but itself."""

    def __init__(self, job: Job, *, unless_synced_since: datetime) -> None:
        self._job = job
        self._since = unless_synced_since
        self._log = RefusalLog("user not deleted")
        self._locked: list[str] = []
        self.deleted = 0

    def delete(self, orphans: Sequence[str]) -> Counts:
        """Delete users together. If one of them is refused, halve them until it is
        alone, and count it as blocked; leave the locked ones for the end."""
        if not orphans:
            return Counts()
        if time.monotonic() > self._job.clerk.deadline + GRACE_SECONDS:
            raise OutOfTimeError
        users = self._job.users
        try:
            deleted = users.delete(orphans, unless_synced_since=self._since)
            self.deleted += deleted
            return Counts(deleted=deleted)
        except psycopg.Error as error:
            if locked := locked_ids(error, orphans):
                self._locked += sorted(locked)
                return self.delete([i for i in orphans if i not in locked])
            if concerns_statement(error) and not took_too_long(error):
                raise
            if len(orphans) == 1:
                users.delete([])  # raises if the statement itself is refused
                return self._blocked(orphans[0], error)
        middle = len(orphans) // 2
        counts = self.delete(orphans[:middle])
        counts.add(self.delete(orphans[middle:]))
        return counts

    def delete_locked(self) -> Counts:
        """Try again to delete those that were locked."""
        counts = Counts()

        def attempt(orphans: list[str]) -> list[str]:
            self._locked = []
            counts.add(self.delete(orphans))
            return self._locked

        seconds = self._job.users.lock_timeout
        locked = until_unlocked(attempt, self._locked, seconds=seconds)
        for clerk_id in locked:
            counts.add(self._blocked(clerk_id, errors.LockNotAvailable()))
        return counts

    def _blocked(self, clerk_id: str, error: psycopg.Error) -> Counts:
        refusal = Refusal.of(error)
        self._log.add(clerk_id, refusal)
        blocked = f"{clerk_id}: not deleted: {refusal}"
        return Counts(
            deletions_blocked=1, obstacles={obstacle(error)}, failures=[blocked]
        )
