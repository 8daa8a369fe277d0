"""Rows that were there before clerksync have no Clerk ID until they are linked.

A user whose email such a row has gets no second row: the user is held back, as parts of
the upsert. Letters may differ in case, because Clerk knows no upper and lower case in
emails, and the email need not be unique.
"""

from typing import LiteralString

from psycopg import sql

from clerksync.mapping.file import DEFAULT
from clerksync.mapping.table import TableMapping

IS_HELD_BACK: LiteralString = """EXISTS (
            SELECT FROM {users} AS u
            WHERE (u.{key} IS NULL OR u.{key} = '') AND {live}
              AND lower(u.{email}::text) = lower(i.email)
        )"""
_UNLESS_UNLINKED: LiteralString = """ AND NOT EXISTS (
           SELECT FROM {users} AS u WHERE u.{key} IS NULL OR u.{key} = ''
       )"""
_STILL_HELD_BACK: LiteralString = """\
                   WHEN u.{key} IS NULL AND s.skipped = 'email taken' AND {is_held_back}
                   THEN 'skipped'
"""


def may_be_unlinked(mapping: TableMapping) -> bool:
    """Whether rows may have been there before; not in a table of clerksync's own."""
    return mapping != DEFAULT


def held_back_parts(
    mapping: TableMapping, names: dict[str, sql.Composable]
) -> dict[str, sql.Composable]:
    """Return parts of `upsert_sql`; all are empty if no row can be unlinked."""
    if not may_be_unlinked(mapping):
        nothing = sql.SQL("")
        return dict.fromkeys(
            ("held_back", "unless_unlinked", "still_held_back"), nothing
        )
    is_held_back = sql.SQL(IS_HELD_BACK).format(**names)
    still = sql.SQL(_STILL_HELD_BACK).format(**names, is_held_back=is_held_back)
    return {
        "held_back": sql.SQL(", {} AS held_back").format(is_held_back),
        "unless_unlinked": sql.SQL(_UNLESS_UNLINKED).format(**names),
        "still_held_back": still,
    }
