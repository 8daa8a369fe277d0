"""The rows that each user has in other tables: made where they are missing."""

from typing import LiteralString

import psycopg
from psycopg import sql

from clerksync.postgres.database import Database
from clerksync.write.mapped_sql import companion_rows
from clerksync.write.user_table import UserTable

_MISSING: LiteralString = """
    WITH missing AS MATERIALIZED (
        SELECT u.{key} AS id
        FROM {users} AS u
        LEFT JOIN {table} AS c ON c.{companion_key} = u.{references}
        WHERE c.{companion_key} IS NULL AND {live} AND {theirs}
    )
"""
_ANY_MISSING: LiteralString = "SELECT EXISTS (SELECT FROM missing)"
# Whoever makes a companion's row or deletes a user has claimed the user first. Where no
# key is unique, two could else make the row at once.
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
    WHERE u.{key} = ANY (ARRAY(SELECT id FROM missing)) AND {live}
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
        any_missing, claim, restore = (
            sql.SQL(_MISSING + step).format(**names)
            for step in (_ANY_MISSING, _CLAIM, _RESTORE)
        )

        def work(
            connection: psycopg.Connection,
            any_missing: sql.Composed = any_missing,
            steps: tuple[sql.Composed, ...] = (claim, restore),
        ) -> None:
            if connection.execute(any_missing).fetchall() == [(True,)]:
                for step in steps:
                    connection.execute(step)

        database.run_hashed(work)
