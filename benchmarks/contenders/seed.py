"""The usual glue code: one user after the other, over one connection.

Pages of 100. For each user a SELECT, and then an INSERT (with the row in rate_limits)
or an UPDATE, each a commit. In the end whoever was not listed is deleted, one by one.
"""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
import urllib3

from benchmarks.contenders.stopwatch import tell

_PAGE: Final = 100
_INSERT: Final = """
    INSERT INTO users (email, first_name, last_name, name, username, phone_number,
                       image_url, public_metadata, banned, clerk_created_at, id)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_UPDATE: Final = """
    UPDATE users
    SET email = %s, first_name = %s, last_name = %s, name = %s, username = %s,
        phone_number = %s, image_url = %s, public_metadata = %s, banned = %s,
        clerk_created_at = %s, updated_at = now()
    WHERE id = %s
"""


def _work() -> dict[str, int]:
    listed = set()
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        for user in _users():
            listed.add(user["id"])
            _write(connection, user)
        stored = connection.execute("SELECT id FROM users").fetchall()
        for (user_id,) in stored:
            if user_id not in listed:
                connection.execute("DELETE FROM users WHERE id = %s", [user_id])
    return {"users": len(listed)}


def _users() -> Iterator[dict[str, Any]]:
    http = urllib3.PoolManager()
    headers = {"authorization": f"Bearer {os.environ['CLERK_SECRET_KEY']}"}
    url = f"{os.environ['CLERK_API_URL']}/v1/users?limit={_PAGE}&offset="
    offset = 0
    while True:
        response = http.request("GET", f"{url}{offset}", headers=headers)
        if response.status != 200:
            raise RuntimeError(f"status {response.status}")
        page = json.loads(response.data)
        yield from page
        if len(page) < _PAGE:
            return
        offset += _PAGE


def _write(connection: psycopg.Connection, user: dict[str, Any]) -> None:
    query = "SELECT 1 FROM users WHERE id = %s"
    if connection.execute(query, [user["id"]]).fetchone():
        connection.execute(_UPDATE, _row(user))
        return
    connection.execute(_INSERT, _row(user))
    connection.execute("INSERT INTO rate_limits (user_id) VALUES (%s)", [user["id"]])


def _row(user: dict[str, Any]) -> list[Any]:
    email = _primary(user, "email_address", "email_addresses")
    names = [user["first_name"], user["last_name"]]
    full = " ".join(part for part in names if part)
    return [
        email,
        *names,
        full or user["username"] or (email or "").partition("@")[0] or None,
        user["username"],
        _primary(user, "phone_number", "phone_numbers"),
        user["image_url"],
        json.dumps(user["public_metadata"]),
        user["banned"],
        datetime.fromtimestamp(user["created_at"] / 1000, UTC),
        user["id"],
    ]


def _primary(user: dict[str, Any], kind: str, entries: str) -> str | None:
    for entry in user[entries]:
        if entry["id"] == user[f"primary_{kind}_id"]:
            return str(entry[kind])
    return None


if __name__ == "__main__":
    tell(_work)
