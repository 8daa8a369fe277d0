"""The two ways into the write path."""

from typing import Any

from clerksync.clerk.user import ClerkUser
from clerksync.postgres.database import Database
from clerksync.write.outcome import Outcome
from clerksync.write.user_batches import UserBatches


class Writer:
    """Applies users through one of the two ways into the write path."""

    def __init__(self, database: Database, door: str, **settings: Any) -> None:
        self.table = UserBatches(database, **settings)
        self._door = door

    def write(self, user: ClerkUser, **options: Any) -> Outcome:
        if self._door == "one":
            return self.table.upsert(user, **options)
        return self.table.upsert_many([user], **options)
