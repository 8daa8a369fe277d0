"""What a bulk run fetches, written to the database batch by batch."""

import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from typing import Final

from clerksync.bulk.fetch import Batches, Fetched
from clerksync.bulk.report import BulkSyncRequest, Report, ms_since
from clerksync.bulk.run_ledger import Run, RunLedger
from clerksync.clerk.api import ClerkApi
from clerksync.clerk.user import IDS_LIMIT, ClerkUser, Page
from clerksync.errors import (
    ClerkRequestError,
    ClerkUnavailableError,
    InvalidPayloadError,
    OtherInstanceError,
    OutOfTimeError,
)
from clerksync.write.outcome import Outcome
from clerksync.write.rows import Prepared
from clerksync.write.user_table import UserTable

# What may end a run early, with everything that was fetched before still good.
CLERK_ERRORS: Final = (
    ClerkRequestError,
    ClerkUnavailableError,
    InvalidPayloadError,
    OtherInstanceError,
    OutOfTimeError,
)


class BulkWriter:
    """Writes for one run, and counts in its report."""

    def __init__(
        self,
        *,
        users: UserTable,
        ledger: RunLedger,
        clerk: ClerkApi,
        run: Run,
        request: BulkSyncRequest,
        report: Report,
    ) -> None:
        self._users = users
        self._ledger = ledger
        self._clerk = clerk
        self._run = run
        self._request = request
        self._report = report

    def prepare(self, page: Page) -> Prepared:
        """What can be done without the database, for the thread that decodes."""
        if self._request.mode == "cleanup":
            return Prepared()
        return self._users.rows.prepare(page.users)

    def consume(self, batches: Batches, *, progress: Callable[[int], None]) -> None:
        """Note every id of the listing and, unless cleaning up, write the users.

        A listing that breaks off raises, after what it gave has been written.
        """
        began, report = time.monotonic(), self._report
        try:
            # Whatever ends this, the threads end first.
            with closing(batches):
                for batch in batches:
                    report.fetched += sum(page.size for page in batch)
                    if self._request.mode != "cleanup":
                        report.failed += sum(page.unreadable for page in batch)
                    self._write(batch)
                    progress(report.fetched)
        finally:
            report.fetch_ms += ms_since(began)

    def upsert(
        self, users: list[ClerkUser], *, confirmed_at: datetime | None = None
    ) -> list[str]:
        """Write and count; gives the ids that a tombstone kept out, uncounted."""
        prepared = self._users.rows.prepare(users, confirmed_at=confirmed_at)
        return self._upsert(prepared).tombstoned

    def _write(self, batch: list[Fetched]) -> None:
        began = time.monotonic()
        self._ledger.record_listed(
            self._run, [clerk_id for page in batch for clerk_id in page.ids]
        )
        prepared = Prepared()
        for page in batch:
            prepared.add(page.prepared)
        tombstoned = self._upsert(prepared).tombstoned
        self._report.write_ms += ms_since(began)
        try:
            while tombstoned:
                self._confirm(tombstoned[:IDS_LIMIT])
                tombstoned = tombstoned[IDS_LIMIT:]
        finally:
            self._report.skipped += len(tombstoned)
        for page in batch:
            page.note_written()

    def _confirm(self, clerk_ids: list[str]) -> None:
        """Listed, and deleted here: only Clerk's answer by id, asked now, counts."""
        confirmed_at = self._users.clock()
        known = self._clerk.users_by_id(clerk_ids)
        still_deleted = self.upsert(known, confirmed_at=confirmed_at)
        self._report.skipped += len(clerk_ids) - len(known) + len(still_deleted)

    def _upsert(self, prepared: Prepared) -> Outcome:
        outcome = self._users.upsert_prepared(prepared, dry_run=self._request.dry_run)
        self._report.add(outcome)
        return outcome
