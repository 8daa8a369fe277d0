"""Whether Postgres holds what Clerk says, looked at from outside."""

from typing import Any

import psycopg
from psycopg.rows import dict_row

from local.stub_clerk.stub import StubClerk

_ROWS = """
    SELECT u.id, email, first_name, last_name, username, image_url, banned,
           public_metadata, r.user_id IS NOT NULL AS limited
    FROM users AS u LEFT JOIN rate_limits AS r ON r.user_id = u.id
"""
# None of these may ever be seen, not even in the middle of a fault.
_HALF_DONE = """
    SELECT count(*) FROM users AS u FULL JOIN rate_limits AS r ON r.user_id = u.id
    WHERE u.id IS NULL OR r.user_id IS NULL
"""
_REVIVED = """
    SELECT count(*) FROM users AS u JOIN sync_state AS s ON s.clerk_id = u.id
    WHERE s.deleted_at IS NOT NULL
"""


def differences(clerk: StubClerk, connection: psycopg.Connection) -> list[str]:
    """The ids of users whose row is not what Clerk says, or that should have none."""
    with connection.cursor(row_factory=dict_row) as cursor:
        there = {row["id"]: row for row in cursor.execute(_ROWS)}
    expected = {}
    for clerk_id in clerk.ids():
        row = _expected(clerk.get_user(clerk_id))
        if row["email"] is not None:
            expected[clerk_id] = row
    return sorted(
        clerk_id
        for clerk_id in expected.keys() | there.keys()
        if expected.get(clerk_id) != there.get(clerk_id)
    )


def half_done(connection: psycopg.Connection) -> int:
    """Rows that a torn transaction would leave: one table without the other, or a user
    beside its tombstone."""
    found = 0
    for query in (_HALF_DONE, _REVIVED):
        row = connection.execute(query).fetchone()
        assert row is not None
        found += int(row[0])
    return found


def _expected(user: dict[str, Any]) -> dict[str, Any]:
    primary = user["primary_email_address_id"]
    addresses = {e["id"]: e["email_address"] for e in user["email_addresses"]}
    names = ("id", "first_name", "last_name", "username", "image_url", "banned")
    return {name: user[name] for name in names} | {
        "email": addresses.get(primary),
        "public_metadata": user["public_metadata"],
        "limited": True,
    }
