"""The rows that each user has in other tables: made where they are missing."""

from typing import LiteralString

import psycopg
from psycopg import sql

from clerksync.database import Database
from clerksync.mapped_sql import companion_rows
from clerksync.user_table import UserTable

_MISSING: LiteralString = """
    WITH missing AS MATERIALIZED (
        SELECT u.{key} AS id
        FROM {users} AS u
        LEFT JOIN {table} AS c ON c.{companion_key} = u.{references}
        WHERE c.{companion_key} IS NULL AND {live} AND {theirs}
    )
"""
# Where no key is unique, two could make the row at once. Whoever does has claimed the
# user first.
_CLAIM: LiteralString = """
    SELECT FROM {sync_state}
    WHERE clerk_id = ANY (ARRAY(SELECT id FROM missing))
    ORDER BY clerk_id COLLATE "C"
    FOR UPDATE
"""
_RESTORE: LiteralString = """
    INSERT INTO {table} ({columns})
    SELECT {values}
    FROM {users} AS u
    WHERE u.{key} = ANY (ARRAY(SELECT id FROM missing))
    FOR KEY SHARE OF u  -- who is being deleted is waited for, and then left out
    ON CONFLICT DO NOTHING
"""


# An application's own rows have companions of its own making.
_OF_CLERK: LiteralString = "u.{key} ~ {clerk_id}"


def restore_companions(database: Database, users: UserTable) -> None:
    """Give their companion rows to users that lack them, however they came to be."""
    for companion, parts in companion_rows(users.mapping, users.schema):
        theirs = "u.{key} IS NOT NULL" if companion.is_rate_limits else _OF_CLERK
        names = users.names | parts
        names["theirs"] = sql.SQL(theirs).format(**names)
        steps = [sql.SQL(_MISSING + _RESTORE).format(**names)]
        if not companion.is_rate_limits:
            steps.insert(0, sql.SQL(_MISSING + _CLAIM).format(**names))

        def work(
            connection: psycopg.Connection, steps: list[sql.Composed] = steps
        ) -> None:
            for step in steps:
                connection.execute(step)

        database.run_hashed(work)
