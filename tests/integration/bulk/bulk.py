"""Bulk sync as the tests run it, and what goes on at Clerk meanwhile."""

import math
from typing import Any

from clerksync.bulk.job import Progress, ignore
from clerksync.bulk.report import Report
from clerksync.bulk.request import BulkSyncRequest
from clerksync.bulk.run import BulkSync
from clerksync.clerk.retry import Patience
from clerksync.postgres.database import Database
from clerksync.settings.clerk_client import clerk_client
from clerksync.settings.environment import Settings
from clerksync.write.user_batches import UserBatches
from local.stub_clerk.stub import StubClerk
from tests.people import shown

PATIENT = Patience(retries=5, longest_wait_seconds=2, timeout_seconds=60)


class Bulk:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.users = UserBatches(database)

    def __call__(
        self,
        mode: str = "full",
        *,
        deadline: float = math.inf,
        progress: Progress = ignore,
        **request: Any,
    ) -> Report:
        settings = Settings()
        clerk = clerk_client(settings, PATIENT)
        bulk = BulkSync(settings, self.database, clerk, progress)
        asked = BulkSyncRequest.model_validate({"mode": mode} | request)
        report = bulk.run(asked, deadline=deadline)
        if mode != "cleanup":
            assert report.fetched == (
                report.created
                + report.updated
                + report.unchanged
                + report.skipped
                + report.failed
            )
        return report


def miss_two(stub: StubClerk) -> tuple[str, str]:
    """Rename one user and delete another, and let no webhook tell of it."""
    renamed, deleted, *_ = sorted(shown(stub))
    stub.update_user(renamed, first_name="Renamed")
    stub.delete_user(deleted)
    return renamed, deleted
