"""One webhook's write against a bare INSERT commit, on the same connection."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from statistics import median
from typing import Any, Final

import psycopg

from clerksync.clerk.user import ClerkUser
from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate
from clerksync.write.user_table import UserTable
from local.stack.embedded_postgres import embedded_postgres

_ROUNDS: Final = 5
_USERS: Final = 400
_CREATED_AT: Final = 1_767_225_600_000  # 2026, Unix ms
_BARE_TABLE: Final = "CREATE TABLE bare (LIKE users INCLUDING ALL)"
_BARE_INSERT: Final = """
    INSERT INTO bare (id, email, first_name, last_name, name, username, phone_number,
                      image_url, public_metadata, banned, clerk_created_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""


def run() -> list[str]:
    """Rows of a Markdown table; a round's figure is the median of 400 commits."""
    with embedded_postgres() as url:
        database = Database(lambda: url)
        migrate(database)
        database.run(lambda connection: connection.execute(_BARE_TABLE))
        rounds = [_round(database, number) for number in range(_ROUNDS)]
        database.close()
    lines = ["| one user, one commit | µs | times a bare INSERT |", "|---|---:|---:|"]
    for name in rounds[0]:
        microseconds = median(r[name] for r in rounds)
        # The machine drifts: ratios are taken within a round, then their median.
        ratio = median(r[name] / r["bare INSERT"] for r in rounds)
        lines.append(f"| {name} | {microseconds:.0f} | {ratio:.2f} |")
    return lines


def _round(database: Database, number: int) -> dict[str, float]:
    table = UserTable(database)
    people = [_user(number * _USERS + i) for i in range(_USERS)]
    changed = [p.model_copy(update={"first_name": "Changed"}) for p in people]
    for person, change in zip(people, changed, strict=True):
        change.updated_at = person.updated_at + 1
    rows = [_bare_row(person) for person in people]

    def insert(row: list[Any]) -> Callable[[psycopg.Connection], Any]:
        return lambda connection: connection.execute(_BARE_INSERT, row)

    return {
        "bare INSERT": _median(lambda i: database.run(insert(rows[i]))),
        "webhook, create": _median(lambda i: table.upsert(people[i])),
        "webhook, duplicate": _median(lambda i: table.upsert(people[i])),
        "webhook, update": _median(lambda i: table.upsert(changed[i])),
    }


def _median(work: Callable[[int], object]) -> float:
    """Microseconds."""
    times = []
    for i in range(_USERS):
        began = time.perf_counter()
        work(i)
        times.append(time.perf_counter() - began)
    return median(times) * 1e6


def _bare_row(user: ClerkUser) -> list[Any]:
    names = (user.first_name, user.last_name, user.name, user.username)
    created_at = datetime.fromtimestamp(_CREATED_AT / 1000, UTC)
    rest = (user.phone_number, user.image_url, "{}", user.banned, created_at)
    return [user.id, user.email, *names, *rest]


def _user(number: int) -> ClerkUser:
    return ClerkUser.model_validate(
        {
            "id": f"user_{number:027d}",
            "updated_at": _CREATED_AT,
            "created_at": _CREATED_AT,
            "first_name": "Noor",
            "last_name": "Castell",
            "image_url": "https://img.example.com/" + "x" * 80,
            "primary_email_address_id": "idn_1",
            "email_addresses": [
                {"id": "idn_1", "email_address": f"user{number}@example.com"}
            ],
            "banned": False,
        }
    )
