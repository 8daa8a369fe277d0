"""The write path: every change of the target table goes through here.

Ordering, deletion, email and tier rules live in the SQL of `user_table_sql`, once: a
webhook hands it one user, a bulk run a staged batch.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Self

import psycopg
from psycopg import errors, sql
from psycopg.rows import dict_row

from clerksync import table_mapping
from clerksync.clerk_user import ClerkUser
from clerksync.database import Database
from clerksync.errors import InvalidPayloadError
from clerksync.observability import describe, logger
from clerksync.settings import Settings
from clerksync.table_mapping import TableMapping
from clerksync.write_path import build

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


@dataclass(slots=True)
class Outcome:
    """What became of the users handed over, as counts; each user is in one of them.

    `email_conflicts` comes on top: users, handed over or not, that are now without
    their email because another user has the newer claim to it.
    """

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0
    email_conflicts: int = 0
    tombstoned: list[str] = field(default_factory=list)
    """Deleted here, and not confirmed by id since."""
    failed: list[str] = field(default_factory=list)
    """Refused by the table itself: a constraint, a trigger, a value too long."""

    def add(self, other: "Outcome") -> None:
        for counter in fields(self):
            total = getattr(self, counter.name) + getattr(other, counter.name)
            setattr(self, counter.name, total)

    @property
    def action(self) -> str:
        """For a single user: created, updated, unchanged or skipped."""
        for name in ("created", "updated", "unchanged"):
            if getattr(self, name):
                return name
        return "skipped"


class UserTable:
    def __init__(
        self,
        database: Database,
        *,
        mapping: TableMapping = table_mapping.DEFAULT,
        schema: str = "public",
        require_email: bool = True,
        default_tier: str = "FREE",
        tier_metadata_key: str | None = None,
        soft_delete: bool = False,
    ) -> None:
        self._database = database
        self._mapping = mapping
        self._sql = build(mapping, schema)
        self.names = table_mapping.identifiers(mapping, schema)
        """Identifiers for composing queries about the same tables."""
        self._tier_metadata_key = tier_metadata_key
        self._flags = [require_email, tier_metadata_key is not None, default_tier]
        self._soft_delete = soft_delete

    @classmethod
    def from_settings(cls, database: Database, settings: Settings) -> Self:
        return cls(
            database,
            schema=settings.schema,
            require_email=settings.require_email,
            default_tier=settings.default_tier,
            tier_metadata_key=settings.tier_metadata_key,
            soft_delete=settings.soft_delete,
        )

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
        parameters = [*self._row(user, confirmed_at), *self._flags]
        try:
            return self._database.run(
                lambda connection: _outcome(
                    _one(connection, self._sql.upsert_user.call, parameters)
                )
            )
        except _UNSTORABLE as error:
            message = f"Postgres cannot store this user (SQLSTATE {error.sqlstate})."
            raise InvalidPayloadError(message) from None

    def upsert_many(
        self,
        users: Iterable[ClerkUser],
        *,
        confirmed_at: datetime | None = None,
        dry_run: bool = False,
    ) -> Outcome:
        """Apply users in one transaction; of several versions of one, the newest.

        Users that the table refuses end in `failed`, and the others are applied. A
        dry run finds out what would happen and changes nothing.
        """
        newest: dict[str, ClerkUser] = {}
        outcome = Outcome()
        for user in users:
            known = newest.setdefault(user.id, user)
            if known is not user:
                outcome.unchanged += 1
                if known.updated_at <= user.updated_at:
                    newest[user.id] = user
        rows = []
        for user in newest.values():
            try:
                rows.append(self._row(user, confirmed_at))
            except InvalidPayloadError as error:
                logger.error("user not written", clerk_id=user.id, **describe(error))
                outcome.failed.append(user.id)
        rows.sort(key=lambda row: row[0])
        if rows:
            outcome.add(self._upsert_rows(rows, dry_run=dry_run))
        return outcome

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

    def find(self, clerk_id: str) -> dict[str, Any] | None:
        """The row of a user that is not deleted: the mapped columns, as stored."""
        mapping = self._mapping
        shown = [mapping.key, *(column.name for column in mapping.columns)]
        shown += [mapping.tier, mapping.created_at, mapping.updated_at]
        query = sql.SQL(
            "SELECT {shown} FROM {users} WHERE {key} = %s AND {deleted_at} IS NULL"
        ).format(shown=sql.SQL(", ").join(map(sql.Identifier, shown)), **self.names)

        def work(connection: psycopg.Connection) -> dict[str, Any] | None:
            with connection.cursor(row_factory=dict_row) as cursor:
                return cursor.execute(query, [clerk_id]).fetchone()

        return self._database.run(work)

    def _upsert_rows(self, rows: list[list[Any]], *, dry_run: bool) -> Outcome:
        def work(connection: psycopg.Connection) -> Outcome:
            with connection.transaction(force_rollback=dry_run):
                connection.execute(self._sql.create_staging)
                with connection.cursor().copy(self._sql.copy_staging) as copy:
                    for row in rows:
                        copy.write_row(row)
                call = self._sql.upsert_staged.call
                return _outcome(_one(connection, call, self._flags))

        try:
            return self._database.run(work)
        except _ROW_ERRORS as error:
            if len(rows) == 1:
                logger.error("user not written", clerk_id=rows[0][0], **describe(error))
                return Outcome(failed=[rows[0][0]])
            middle = len(rows) // 2
            outcome = self._upsert_rows(rows[:middle], dry_run=dry_run)
            outcome.add(self._upsert_rows(rows[middle:], dry_run=dry_run))
            return outcome

    def _row(self, user: ClerkUser, confirmed_at: datetime | None) -> list[Any]:
        values = self._mapping.values(user)
        for position, column in enumerate(self._mapping.columns):
            if column.type == "jsonb":
                values[position] = _json(values[position])
        return [user.id, user.updated_at, confirmed_at, self._tier(user), *values]

    def _tier(self, user: ClerkUser) -> str | None:
        if self._tier_metadata_key is None:
            return None
        tier = user.public_metadata.get(self._tier_metadata_key)
        return tier if isinstance(tier, str) and tier else None


def _json(value: Any) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError) as error:
        message = "The metadata holds a number too large or is nested too deep."
        raise InvalidPayloadError(message) from error


def _one(
    connection: psycopg.Connection, query: Any, parameters: Sequence[Any] | None = None
) -> tuple[Any, ...]:
    row = connection.execute(query, parameters).fetchone()
    if row is None:
        raise AssertionError("a query that always gives one row gave none")
    return row


def _outcome(row: tuple[Any, ...]) -> Outcome:
    created, updated, unchanged, skipped, email_conflicts, tombstoned = row
    return Outcome(
        created, updated, unchanged, skipped, email_conflicts, tombstoned or []
    )
