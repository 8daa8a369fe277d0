"""The tiers to start with. From then on, they are the application's to change."""

from typing import Final

import psycopg
from psycopg import sql

# Capacity, and tokens per second: a minute's worth at once, then 1, 5, 20 or 100.
_TO_START_WITH: Final = {
    "FREE": (60, 1),
    "PRO": (300, 5),
    "MAXX": (1200, 20),
    "ENTERPRISE": (6000, 100),
}


def fill_tiers(connection: psycopg.Connection, schema: str, default_tier: str) -> None:
    """Fill the table `tiers` if it is empty, and add the default tier if it is missing,
    with the numbers of FREE."""
    tiers = sql.Identifier(schema, "tiers")
    some = sql.SQL("SELECT FROM {} LIMIT 1").format(tiers)
    wanted = {default_tier: _TO_START_WITH["FREE"]}
    if connection.execute(some).fetchone() is None:
        wanted |= _TO_START_WITH
    connection.cursor().executemany(
        sql.SQL(
            "INSERT INTO {} (name, capacity, refill_per_second) VALUES (%s, %s, %s)"
            " ON CONFLICT DO NOTHING"
        ).format(tiers),
        [(name, *numbers) for name, numbers in wanted.items()],
    )
