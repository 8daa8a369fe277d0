"""The rows that each user has in other tables: made where they are missing."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, LiteralString

import psycopg
from psycopg import sql

from clerksync.mapping.table import Companion
from clerksync.postgres.database import Database
from clerksync.write.companion_sql import companion_rows
from clerksync.write.locks import ONE_ROW, SEVERAL_ROWS, took_too_long, until_unlocked
from clerksync.write.refused_row import (
    SWALLOWED,
    Refusal,
    RefusalLog,
    concerns_statement,
)
from clerksync.write.user_table import UserTable

_MISSING: LiteralString = """
    WITH missing AS MATERIALIZED (
        SELECT u.{key} AS id
        FROM {users} AS u
        LEFT JOIN {table} AS c ON c.{companion_key} = u.{references}
        WHERE c.{companion_key} IS NULL AND {live} AND {theirs}
    )
"""
_IDS: LiteralString = 'SELECT id FROM missing ORDER BY id COLLATE "C"'
# A companion's row is made, and a user deleted, only after the user was claimed. Where
# no key is unique, two could otherwise make the row at once.
_CLAIM: LiteralString = """
    SELECT FROM {sync_state}
    WHERE clerk_id = ANY (%(ids)s)
    ORDER BY clerk_id COLLATE "C"
    FOR UPDATE
"""
# FOR KEY SHARE: a user who is being deleted is waited for, and then left out.
_RESTORE: LiteralString = """
    INSERT INTO {table} ({columns})
    SELECT {values}
    FROM {users} AS u
    WHERE u.{key} = ANY (%(ids)s) AND {live}
      AND NOT EXISTS (
          SELECT FROM {table} AS c WHERE c.{companion_key} = u.{references}
      )
    FOR KEY SHARE OF u
    ON CONFLICT DO NOTHING
"""

_AT_ONCE: Final = 2_000

# An application's own rows have companions of its own making.
_OF_CLERK: LiteralString = "u.{key} ~ {clerk_id}"


Make = Callable[[Sequence[str]], None]
"""Makes the rows of users that have none, in one transaction."""


def restore_companions(database: Database, users: UserTable) -> list[str]:
    """Give their companion rows to users that lack them, however they came to be.

    Returns the users whose row the table refused, or who are locked, each with the
    reason; the rows of the others are made. Raises the error if the statement itself is
    refused.
    """
    failures: list[str] = []
    for companion, parts in companion_rows(users.mapping, users.schema):
        log = RefusalLog("companion not made")
        refused = _restore(database, users, companion, parts)
        for clerk_id in sorted(refused):
            log.add(clerk_id, refused[clerk_id])
            failures.append(f"{clerk_id}: {companion.table}: {refused[clerk_id]}")
    return failures


def _restore(
    database: Database,
    users: UserTable,
    companion: Companion,
    parts: dict[str, sql.Composable],
) -> dict[str, Refusal]:
    theirs = "u.{key} IS NOT NULL" if companion.is_rate_limits else _OF_CLERK
    names = users.names | parts
    names["theirs"] = sql.SQL(theirs).format(**names)
    find = sql.SQL(_MISSING + _IDS).format(**names)
    claim, restore = (sql.SQL(text).format(**names) for text in (_CLAIM, _RESTORE))

    def missing(connection: psycopg.Connection) -> list[str]:
        return [row[0] for row in connection.execute(find)]

    def make(ids: Sequence[str]) -> None:
        def work(connection: psycopg.Connection) -> None:
            connection.execute(SEVERAL_ROWS if len(ids) > 1 else ONE_ROW)
            connection.execute(claim, {"ids": ids})
            connection.execute(restore, {"ids": ids})

        database.run_hashed(work)

    ids = database.run_hashed(missing)
    refused: dict[str, Refusal] = {}

    def attempt(ids: list[str]) -> list[str]:
        found: dict[str, Refusal] = {}
        for start in range(0, len(ids), _AT_ONCE):
            found |= _refused(ids[start : start + _AT_ONCE], make)
        for clerk_id in ids:
            refused.pop(clerk_id, None)
        refused.update(found)
        return [clerk_id for clerk_id, why in found.items() if why.is_locked]

    if ids:
        until_unlocked(attempt, ids, seconds=users.lock_timeout)
        # Success is what the table shows: a trigger can swallow a row.
        for clerk_id in {*ids} & {*database.run_hashed(missing)}:
            refused.setdefault(clerk_id, Refusal(SWALLOWED, companion.table))
    return refused


def _refused(ids: Sequence[str], make: Make) -> Iterator[tuple[str, Refusal]]:
    """Make the rows together. If some are refused, halve until each is alone, and give
    those, with the reason."""
    try:
        make(ids)
    except psycopg.Error as error:
        may_be_a_row = took_too_long(error) and ids
        if concerns_statement(error) and not may_be_a_row:
            raise
        if len(ids) > 1:
            middle = len(ids) // 2
            yield from _refused(ids[:middle], make)
            yield from _refused(ids[middle:], make)
            return
        make([])  # raises if the statement itself is refused
        yield ids[0], Refusal.of(error)
