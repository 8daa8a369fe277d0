"""Which row belongs to which user, decided by one query in the database.

The email is compared as the column compares it: the staged emails have the column's
own type and collation. Emails that differ only in the case of letters match as well,
because Clerk knows no upper and lower case in addresses.
"""

from collections.abc import Mapping
from typing import IO, Any, Final, LiteralString

import psycopg
from psycopg import sql

from clerksync.write.user_table import UserTable

_CHUNK: Final = 1 << 16

# The type without its length: no address may be cut off, or refused.
_COLUMN: LiteralString = """
    SELECT format_type(CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END, -1),
           n.nspname, c.collname
    FROM pg_attribute AS a
    JOIN pg_type AS t ON t.oid = a.atttypid
    LEFT JOIN pg_collation AS c ON c.oid = a.attcollation AND c.collname <> 'default'
    LEFT JOIN pg_namespace AS n ON n.oid = c.collnamespace
    WHERE a.attrelid = {table}::regclass AND a.attname = {column} AND a.attnum > 0
"""
_PRIMARY_KEY: LiteralString = """
    SELECT a.attname
    FROM pg_index AS i
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
    WHERE i.indrelid = {table}::regclass AND i.indisprimary
    ORDER BY array_position(i.indkey::int2[], a.attnum)
"""
_STAGE: LiteralString = """
    CREATE TEMPORARY TABLE clerksync_link (
        clerk_id text, version bigint, email {type} {collation}, verified boolean
    ) ON COMMIT DROP
"""
_LISTED: LiteralString = "SELECT count(DISTINCT clerk_id) FROM pg_temp.clerksync_link"
_OTHER_KEYS: LiteralString = """
    SELECT count(*) FROM {users} AS u
    WHERE u.{key} IS NOT NULL AND NOT ({empty}) AND NOT (u.{key}::text ~ {clerk_id})
"""
# Only verified emails link, and only they make a match ambiguous. A row with a key of
# its own is never linked; it is shown if it has the email of a user.
_MATCHES: LiteralString = """
    WITH people AS MATERIALIZED (
        SELECT DISTINCT ON (clerk_id) clerk_id, email, verified
        FROM pg_temp.clerksync_link
        ORDER BY clerk_id, version DESC
    ), rows AS MATERIALIZED (
        SELECT u.tableoid AS part, u.ctid AS place, {row_id} AS row_id,
               u.{email} AS email, {live} AS is_live,
               u.{key} IS NOT NULL AND NOT ({empty}) AS has_own_key
        FROM {users} AS u
        WHERE (u.{key}::text ~ {clerk_id}) IS NOT TRUE
    ), pairs AS MATERIALIZED (
        SELECT r.part, r.place, r.has_own_key, p.clerk_id, p.verified
        FROM rows AS r JOIN people AS p ON p.email = r.email
        UNION ALL
        SELECT r.part, r.place, r.has_own_key, p.clerk_id, p.verified
        FROM rows AS r JOIN people AS p ON lower(p.email::text) = lower(r.email::text)
        WHERE p.email <> r.email
    ), verified AS (
        SELECT p.part, p.place, p.clerk_id, u.{key} IS NOT NULL AS has_row,
               count(*) FILTER (WHERE NOT p.has_own_key)
                   OVER (PARTITION BY p.clerk_id) AS rows
        FROM pairs AS p
        LEFT JOIN {users} AS u ON u.{key} = p.clerk_id
        WHERE p.verified
    ), judged AS (
        SELECT part, place, array_agg(clerk_id ORDER BY clerk_id) AS clerk_ids,
               bool_or(has_row) AS has_row, count(*) AS users, max(rows) AS rows
        FROM verified GROUP BY part, place
    ), unverified AS (
        SELECT part, place, array_agg(clerk_id ORDER BY clerk_id) AS clerk_ids
        FROM pairs WHERE NOT verified GROUP BY part, place
    )
    SELECT CASE
               WHEN r.has_own_key THEN 'own key'
               WHEN j.users IS NULL AND n.clerk_ids IS NOT NULL THEN 'not verified'
               WHEN j.users IS NULL AND r.email IS NULL THEN 'no email'
               WHEN j.users IS NULL THEN 'unknown email'
               WHEN j.has_row THEN 'has a row'
               WHEN j.users > 1 THEN 'several users'
               WHEN j.rows > 1 THEN 'several rows'
               WHEN NOT r.is_live THEN 'deleted row'
               ELSE 'link'
           END,
           r.row_id, coalesce(j.clerk_ids, n.clerk_ids, '{{}}'),
           r.email::text, r.place::text
    FROM rows AS r
    LEFT JOIN judged AS j ON j.part = r.part AND j.place = r.place
    LEFT JOIN unverified AS n ON n.part = r.part AND n.place = r.place
    WHERE NOT r.has_own_key OR coalesce(j.clerk_ids, n.clerk_ids) IS NOT NULL
    ORDER BY r.part, r.place
"""
# A deletion claims the user's row in sync_state; whoever links waits for it, or it for
# us. The rows are made first, so that there is something to lock.
_LOCK: LiteralString = """
    INSERT INTO {sync_state} AS s (clerk_id, synced_at)
    SELECT c.clerk_id, '-infinity'
    FROM unnest(%(clerk_ids)s::text[]) AS c (clerk_id)
    ORDER BY c.clerk_id COLLATE "C"
    ON CONFLICT (clerk_id) DO UPDATE SET synced_at = s.synced_at WHERE false
"""
# A row that was changed meanwhile has moved, has another email, or has a key by now.
_LINK: LiteralString = """
    UPDATE {users} AS u
    SET {key} = m.clerk_id
    FROM unnest(%(places)s::text[], %(clerk_ids)s::text[], %(emails)s::text[])
         AS m (place, clerk_id, email)
    WHERE u.ctid = m.place::tid
      AND (u.{key} IS NULL OR {empty})
      AND u.{email}::text = m.email
      AND NOT EXISTS (SELECT FROM {users} AS o WHERE o.{key} = m.clerk_id)
      AND NOT EXISTS (
          SELECT FROM {sync_state} AS s
          WHERE s.clerk_id = m.clerk_id AND s.deleted_at IS NOT NULL
      )
    RETURNING u.{key}
"""


def stage(connection: psycopg.Connection, users: UserTable, spool: IO[str]) -> int:
    """Put what was spooled into a temporary table, which goes with the transaction.
    Returns how many users it holds."""
    email_type, namespace, collation = _one(
        connection, _COLUMN, column=users.mapping.email, users=users
    )
    collate: sql.Composable = sql.SQL("")
    if collation is not None:
        collate = sql.SQL("COLLATE {}").format(sql.Identifier(namespace, collation))
    # A name of a type as Postgres itself has just quoted it.
    named: Any = email_type
    create = sql.SQL(_STAGE).format(type=sql.SQL(named), collation=collate)
    connection.execute(create)
    spool.seek(0)
    copying = "COPY pg_temp.clerksync_link FROM STDIN"
    with connection.cursor().copy(copying) as copy:
        while chunk := spool.read(_CHUNK):
            copy.write(chunk)
    connection.execute("ANALYZE pg_temp.clerksync_link")
    return int(_one(connection, _LISTED, users=users)[0])


def other_keys(connection: psycopg.Connection, users: UserTable) -> int:
    """Count rows whose key is neither a Clerk ID nor empty."""
    return int(_one(connection, _OTHER_KEYS, users=users)[0])


def matches(connection: psycopg.Connection, users: UserTable) -> sql.Composed:
    """Return the query of all rows without a Clerk ID: verdict, row ID, Clerk IDs,
    email and place. Of rows with a key of their own, only those that match."""
    return sql.SQL(_MATCHES).format(**_names(users), row_id=_row_id(connection, users))


def linking(users: UserTable) -> sql.Composed:
    """Return the statement that links rows; it returns the Clerk IDs it has written."""
    return sql.SQL(_LINK).format(**_names(users))


def locking(users: UserTable) -> sql.Composed:
    """Return the statement that locks users, so that none is deleted meanwhile."""
    return sql.SQL(_LOCK).format(**_names(users))


def _row_id(connection: psycopg.Connection, users: UserTable) -> sql.Composable:
    """What a person can find the row by: the table's own id, else its primary key."""
    own_id = users.mapping.own_id
    columns = [own_id.column] if own_id else []
    if not columns:
        query = sql.SQL(_PRIMARY_KEY).format(table=_table(users))
        columns = [name for (name,) in connection.execute(query)]
    if not columns or columns == [users.mapping.key]:
        return sql.SQL("'ctid ' || u.ctid::text")
    parts = [sql.SQL("u.{}::text").format(sql.Identifier(name)) for name in columns]
    return sql.SQL("concat_ws(',', {})").format(sql.SQL(", ").join(parts))


def _names(users: UserTable) -> Mapping[str, sql.Composable]:
    empty = sql.SQL("u.{key}::text = ''").format(**users.names)
    return {**users.names, "empty": empty}


def _table(users: UserTable) -> sql.Literal:
    return sql.Literal(users.names["users"].as_string())


def _one(
    connection: psycopg.Connection,
    query: LiteralString,
    *,
    users: UserTable,
    column: str = "",
) -> tuple[Any, ...]:
    composed = sql.SQL(query).format(
        **_names(users), table=_table(users), column=sql.Literal(column)
    )
    (row,) = connection.execute(composed).fetchall()
    return row
