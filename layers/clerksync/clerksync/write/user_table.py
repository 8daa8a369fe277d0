"""The write path: every change of the target table goes through here.

Ordering, deletion, email and tier rules live in the SQL of `upsert_sql`, once: a
webhook hands it one user, a bulk run a staged batch.
"""

import copy
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Self

import psycopg
from psycopg import errors, sql
from psycopg.rows import dict_row

from clerksync.clerk.user import ClerkUser
from clerksync.errors import DeletionBlockedError, InvalidPayloadError
from clerksync.mapping.file import DEFAULT
from clerksync.mapping.table import TableMapping
from clerksync.observability import describe, logger
from clerksync.postgres.database import Database
from clerksync.settings.environment import Settings
from clerksync.write.asking import Ask
from clerksync.write.blocked_deletion import BLOCKED, obstacle
from clerksync.write.email_reassignment import reassign_emails
from clerksync.write.identifiers import identifiers
from clerksync.write.outcome import Outcome
from clerksync.write.rows import Prepared, RowMaker, StagedRow
from clerksync.write.sql_functions import build

# Large enough that the calls do not count, small enough for a socket's buffer.
_LINES_AT_ONCE: Final = 500
_UNSTORABLE = (
    psycopg.DataError,
    errors.ProgramLimitExceeded,  # an email too long for its index
    errors.StatementTooComplex,  # metadata nested too deep
)
# What one row can cause, and must not cost the rows beside it.
_ROW_ERRORS = (
    *_UNSTORABLE,
    psycopg.IntegrityError,
    errors.RaiseException,  # a trigger of the application
)


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
    ) -> None:
        """`ask` is needed where no row may be without an email: the holder of one that
        moves on is then looked up at Clerk, and written first."""
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
        self._soft_delete = soft_delete

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
        )

    def asking(self, ask: Ask) -> Self:
        """The same table, with another way to ask Clerk."""
        users = copy.copy(self)
        users._ask = ask  # noqa: SLF001 - of this very class
        return users

    def clock(self) -> datetime:
        """The database's clock. Read it before asking Clerk about one user by id."""
        now: datetime = self._database.run(
            lambda connection: _one(connection, "SELECT clock_timestamp()")
        )[0]
        return now

    def upsert(
        self, user: ClerkUser, *, confirmed_at: datetime | None = None
    ) -> Outcome:
        """Apply one user, committed when this returns. One round trip.

        `confirmed_at` is the database's clock, read before Clerk was asked for this
        user by id; it lets a user come back whose tombstone is older. Raises
        InvalidPayloadError when Postgres cannot hold what the user contains.
        """
        parameters = [*self.rows.row(user, confirmed_at), *self._flags, False]
        try:
            outcome = self._database.run(
                lambda connection: Outcome.of(
                    _one(connection, self._sql.upsert_user.call, parameters)
                )
            )
        except _UNSTORABLE as error:
            message = f"Postgres cannot store this user (SQLSTATE {error.sqlstate})."
            raise InvalidPayloadError(message) from None
        if outcome.blocked:
            prepared = self.rows.prepare([user], confirmed_at=confirmed_at)
            self._reassign_emails(prepared.rows, outcome)
            if user.id in outcome.failed:
                raise InvalidPayloadError("The table refuses this user: see the log.")
        self._name_losers(outcome)
        return outcome

    def upsert_prepared(self, prepared: Prepared, *, dry_run: bool = False) -> Outcome:
        """Apply users in one transaction; of several versions of one, the newest.

        Users that the table refuses end in `failed`, and the others are applied. A
        dry run finds out what would happen and changes nothing.
        """
        newest: dict[str, StagedRow] = {row[0]: row for row in prepared.rows}
        if len(newest) < len(prepared.rows):
            for row in prepared.rows:
                if newest[row[0]][1] <= row[1]:
                    newest[row[0]] = row
        outcome = Outcome(
            unchanged=len(prepared.rows) - len(newest), failed=list(prepared.failed)
        )
        if newest:
            rows = sorted(newest.values())
            outcome.add(self.upsert_rows(rows, dry_run=dry_run))
            if outcome.blocked:
                self._reassign_emails(rows, outcome, dry_run=dry_run)
            self._name_losers(outcome)
        return outcome

    def upsert_many(
        self,
        users: Iterable[ClerkUser],
        *,
        confirmed_at: datetime | None = None,
        dry_run: bool = False,
    ) -> Outcome:
        """Prepare users, and do what `upsert_prepared` does."""
        prepared = self.rows.prepare(users, confirmed_at=confirmed_at)
        return self.upsert_prepared(prepared, dry_run=dry_run)

    def delete(
        self, clerk_ids: Sequence[str], *, unless_synced_since: datetime | None = None
    ) -> int:
        """Delete users and leave tombstones, known here or not; returns rows deleted.

        With `unless_synced_since` (the database's clock), spares the users that any
        door has written since then.
        """
        parameters = [list(clerk_ids), unless_synced_since, self._soft_delete]
        return self._database.run(
            lambda connection: int(
                _one(connection, self._sql.delete_users.call, parameters)[0]
            )
        )

    def delete_user(self, clerk_id: str) -> None:
        """Delete one user and leave a tombstone, known here or not.

        Raises DeletionBlockedError. Then nothing was changed, and there is no
        tombstone beside a row that stays.
        """
        try:
            self.delete([clerk_id])
        except BLOCKED as error:
            raise DeletionBlockedError(obstacle(error)) from error

    def find(self, clerk_id: str) -> dict[str, Any] | None:
        """The row of a user that is not deleted: the mapped columns, as stored."""
        shown = sql.SQL(", ").join(map(sql.Identifier, self.mapping.shown))
        query = sql.SQL(
            "SELECT {shown} FROM {users} AS u WHERE u.{key} = %s AND {live}"
        ).format(shown=shown, **self.names)

        def work(connection: psycopg.Connection) -> dict[str, Any] | None:
            with connection.cursor(row_factory=dict_row) as cursor:
                return cursor.execute(query, [clerk_id]).fetchone()

        row = self._database.run(work)
        return row and {name: _in_utc(value) for name, value in row.items()}

    def _reassign_emails(
        self, rows: Sequence[StagedRow], outcome: Outcome, *, dry_run: bool = False
    ) -> None:
        def write(rows: list[StagedRow], all_asked: bool) -> Outcome:
            return self.upsert_rows(rows, dry_run=dry_run, all_asked=all_asked)

        def delete(clerk_id: str, since: datetime) -> int:
            return self.delete([clerk_id], unless_synced_since=since)

        reassign_emails(
            rows,
            outcome,
            self._ask,
            maker=self.rows,
            clock=self.clock,
            write=write,
            delete=None if dry_run else delete,
        )

    def _name_losers(self, outcome: Outcome) -> None:
        """Where an email may be NULL, the next news of the user mends it."""
        if self.mapping.email_not_null:
            for clerk_id in outcome.losers:
                logger.warning("another row holds the email", clerk_id=clerk_id)

    def upsert_rows(
        self, rows: list[StagedRow], *, dry_run: bool, all_asked: bool = False
    ) -> Outcome:
        """Apply rows, one for each user, sorted by id. Those that the table refuses are
        left out, by halving. Who is blocked by another's email is told and not solved;
        with `all_asked`, is written without it.
        """

        def work(connection: psycopg.Connection) -> Outcome:
            with connection.transaction(force_rollback=dry_run):
                connection.execute(self._sql.create_staging)
                with connection.cursor().copy(self._sql.copy_staging) as copy:
                    for at in range(0, len(rows), _LINES_AT_ONCE):
                        part = rows[at : at + _LINES_AT_ONCE]
                        copy.write("".join([f"{line}\n" for _, _, line in part]))
                call = self._sql.upsert_staged.call
                flags = [*self._flags, all_asked]
                return Outcome.of(_one(connection, call, flags))

        try:
            return self._database.run(work)
        except _ROW_ERRORS as error:
            if len(rows) == 1:
                failed = rows[0][0]
                logger.error("user not written", clerk_id=failed, **describe(error))
                return Outcome(failed=[failed])
            middle = len(rows) // 2
            outcome = Outcome()
            for half in (rows[:middle], rows[middle:]):
                outcome.add(
                    self.upsert_rows(half, dry_run=dry_run, all_asked=all_asked)
                )
            return outcome


def _one(
    connection: psycopg.Connection, query: Any, parameters: Sequence[Any] | None = None
) -> tuple[Any, ...]:
    row = connection.execute(query, parameters).fetchone()
    if row is None:
        raise AssertionError("a query that always gives one row gave none")
    return row


def _in_utc(value: Any) -> Any:
    """Columns without a time zone are written in UTC."""
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value
