"""The write path: every change of the target table goes through here.

Ordering, deletion, email and tier rules live in the SQL of `upsert_sql`, once: a
webhook hands it one user, a bulk run a staged batch.
"""

import copy
import math
from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import psycopg
from psycopg import sql

from clerksync.clerk.user import ClerkUser
from clerksync.errors import (
    DeletionBlockedError,
    InvalidPayloadError,
    RowLockedError,
    RowRefusedError,
)
from clerksync.mapping.file import DEFAULT
from clerksync.mapping.table import TableMapping
from clerksync.observability import logger
from clerksync.postgres.database import Database, Result, Work
from clerksync.settings.environment import Settings
from clerksync.write.asking import Ask
from clerksync.write.batch import BatchWriter
from clerksync.write.email_reassignment import reassign_emails
from clerksync.write.find_user import find_user
from clerksync.write.identifiers import identifiers
from clerksync.write.instance import ACCEPTED, call_guarded
from clerksync.write.locks import (
    SEVERAL_ROWS,
    WHILE_OTHERS_WAIT,
    once_unlocked,
)
from clerksync.write.outcome import Outcome
from clerksync.write.refused_row import (
    SWALLOWED,
    UNSTORABLE,
    Refusal,
    concerns_statement,
    obstacle,
)
from clerksync.write.rows import RowMaker, StagedRow
from clerksync.write.sql_functions import Function, build
from clerksync.write.staging import one_row
from clerksync.write.too_long import TOO_LONG, TooLong

if TYPE_CHECKING:
    pass


class UserTable:
    def __init__(
        self,
        database: Database,
        *,
        mapping: TableMapping = DEFAULT,
        schema: str = "public",
        ask: Ask | None = None,
        require_email: bool = True,
        default_tier: str = "FREE",
        tier_metadata_key: str | None = None,
        soft_delete: bool = False,
        lock_timeout: float = 1.0,
        only_instance: str | None = None,
    ) -> None:
        """`ask` is needed where no row may be without an email: the holder of one that
        moves on is then looked up at Clerk, and written first. `default_tier` is
        written as it is. `lock_timeout`, in seconds, is how long a row is waited for
        that the application has locked, if nobody else waits meanwhile. `only_instance`
        is the Clerk instance that the owner has named, if any."""
        self._database = database
        self.mapping = mapping
        self.schema = schema
        self._ask = ask
        self._sql = build(mapping, schema)
        self.names = identifiers(mapping, schema)
        """Identifiers for composing queries about the same tables."""
        self.rows = RowMaker(mapping, tier_metadata_key)
        self._flags = [
            require_email or mapping.email_not_null,
            tier_metadata_key is not None,
            default_tier,
        ]
        self._deletion = "soft" if soft_delete else mapping.deletion
        self.lock_timeout = lock_timeout
        self._deadline = math.inf
        self._doubted_before: datetime | None = None
        self._only_instance = only_instance
        self._of_instance: str | None = None

    @classmethod
    def from_settings(
        cls, database: Database, settings: Settings, ask: Ask | None = None
    ) -> Self:
        return cls(
            database,
            mapping=settings.mapping,
            schema=settings.schema,
            ask=ask,
            require_email=settings.require_email,
            default_tier=settings.default_tier,
            tier_metadata_key=settings.tier_metadata_key,
            soft_delete=settings.soft_delete,
            lock_timeout=settings.lock_timeout,
            only_instance=settings.instance_id,
        )

    def for_event_of(self, instance_id: str | None) -> Self:
        """Return the same table for one event of a Clerk instance: `upsert` and
        `delete_user` raise InvalidPayloadError if the table belongs to another."""
        users = copy.copy(self)
        users._of_instance = instance_id  # noqa: SLF001 - of this very class
        return users

    def clock(self) -> datetime:
        """The database's clock. Read it before asking Clerk about one user by id."""
        now: datetime = self._database.run(
            lambda connection: one_row(connection, "SELECT clock_timestamp()")
        )[0]
        return now

    def clock_and_owners(self) -> tuple[datetime, set[str]]:
        """Return what `clock` does, and the Clerk instances that the table belongs to,
        by the settings and by the ledger of runs: none, one, or two that differ."""
        accepted = sql.SQL(ACCEPTED).format(**self.names)
        query = sql.SQL("SELECT clock_timestamp(), ({})").format(accepted)
        now, owner = self._database.run(lambda c: one_row(c, query))
        return now, {self._only_instance, owner} - {None}

    def upsert(
        self, user: ClerkUser, *, confirmed_at: datetime | None = None
    ) -> Outcome:
        """Apply one user, committed when this returns. One round trip.

        `confirmed_at` is the database's clock, read before Clerk was asked for this
        user by id; it lets a user come back whose tombstone is older. Raises
        InvalidPayloadError if Postgres cannot hold what the user contains,
        RowRefusedError if the row was not written, though nothing objected, and
        RowLockedError.
        """
        row = [*self.rows.row(user, confirmed_at), *self._flags, False]
        parameters = [*row, self._patience]
        try:
            outcome = self._alone(
                lambda connection: Outcome.of(
                    self._call(connection, self._sql.upsert_user, parameters)
                )
            )
        except UNSTORABLE as error:
            refusal = Refusal.of(error)
            if error.sqlstate == TOO_LONG:
                column = self._too_long.columns(self.rows.row(user, confirmed_at))
                refusal = refusal._replace(table=self.mapping.table, column=column)
            message = f"Postgres cannot store this user ({refusal})."
            raise InvalidPayloadError(message) from None
        except psycopg.Error as error:
            if error.sqlstate != SWALLOWED:
                raise
            raise RowRefusedError from error
        if outcome.blocked:
            prepared = self.rows.prepare([user], confirmed_at=confirmed_at)
            self._reassign_emails(prepared.rows, outcome)
            if outcome.locked:
                raise RowLockedError
            if user.id in outcome.failed:
                raise InvalidPayloadError("The table refuses this user: see the log.")
        self._name_losers(outcome)
        return outcome

    def delete(
        self, clerk_ids: Sequence[str], *, unless_synced_since: datetime | None = None
    ) -> int:
        """Delete users and leave tombstones, known here or not; returns rows deleted.

        With `unless_synced_since` (the database's clock), leaves out users that any
        entry point has written since then. Waits for no locked row: see
        `locks.locked_ids`.
        """
        ids = list(clerk_ids)
        parameters = [ids, unless_synced_since, self._deletion, WHILE_OTHERS_WAIT]

        def work(connection: psycopg.Connection) -> int:
            with connection.transaction():
                if len(ids) > 1:
                    connection.execute(SEVERAL_ROWS)
                call = self._sql.delete_users.call
                return int(one_row(connection, call, parameters)[0])

        return self._database.run(work)

    def delete_user(self, clerk_id: str) -> None:
        """Delete one user and leave a tombstone, known here or not.

        Raises DeletionBlockedError or RowLockedError. Then nothing was changed, and
        there is no tombstone beside a row that stays.
        """
        parameters = [[clerk_id], None, self._deletion, self._patience]
        try:
            self._alone(
                lambda connection: self._call(
                    connection, self._sql.delete_users, parameters
                )
            )
        except psycopg.Error as error:
            if concerns_statement(error):
                raise
            self.delete([])  # raises if the statement itself is refused
            raise DeletionBlockedError(obstacle(error)) from error

    def find(self, clerk_id: str) -> dict[str, Any] | None:
        """Return the row of a user that is not deleted: mapped columns, as stored."""
        return find_user(self._database, self.mapping, self.schema, clerk_id)

    def _call(
        self, connection: psycopg.Connection, function: Function, parameters: list[Any]
    ) -> tuple[Any, ...]:
        if self._of_instance is None:
            return one_row(connection, function.call, parameters)
        return call_guarded(
            connection,
            function.call,
            parameters,
            schema=self.schema,
            instance_id=self._of_instance,
        )

    def _reassign_emails(self, rows: Sequence[StagedRow], outcome: Outcome) -> None:
        reassign_emails(
            rows,
            outcome,
            self._ask,
            maker=self.rows,
            clock=self.clock,
            write=self._batches.write,
            delete=self.delete,
        )

    @cached_property
    def _batches(self) -> BatchWriter:
        return BatchWriter(
            self._database,
            self._sql,
            self._flags,
            too_long=lambda: self._too_long,
            deadline=self._deadline,
            doubted_before=self._doubted_before,
        )

    @property
    def _too_long(self) -> TooLong:
        """A new one each time: the columns may have become longer."""
        return TooLong(self._database, self.mapping, self.names["users"])

    def _alone(self, work: Work[Result]) -> Result:
        return once_unlocked(
            lambda: self._database.run(work), lock_timeout=self.lock_timeout
        )

    @property
    def _patience(self) -> str:
        """As a lock_timeout of Postgres."""
        return f"{round(self.lock_timeout * 1000)}ms"

    def _name_losers(self, outcome: Outcome) -> None:
        """Not needed if an email may be NULL: the next update of the user fixes it."""
        if self.mapping.email_not_null:
            for clerk_id in outcome.losers:
                logger.warning("another row holds the email", clerk_id=clerk_id)
