"""`consume_rate_limit` against a bare one-row UPDATE, on the same connection."""

import time
from collections.abc import Callable
from itertools import count
from statistics import median
from typing import Final

from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate
from clerksync.write.rate_limits import consume
from local.stack.embedded_postgres import embedded_postgres

_ROUNDS: Final = 9
_TURNS: Final = 400
_USERS: Final = 1_000
_BARE: Final = "UPDATE bare SET tokens = %s, refilled_at = now() WHERE user_id = %s"
_SETUP: Final = f"""
    INSERT INTO users (id, email, tier)
    SELECT 'user_' || n, 'user' || n || '@example.com', 'ENTERPRISE'
    FROM generate_series(1, {_USERS}) AS n;
    INSERT INTO rate_limits (user_id, tokens) SELECT id, 1000 FROM users;
    CREATE TABLE bare (LIKE rate_limits INCLUDING ALL);
    INSERT INTO bare SELECT * FROM rate_limits;
    INSERT INTO tiers VALUES ('NONE', 0, 1);
    INSERT INTO users (id, tier) VALUES ('user_refused', 'NONE');
    INSERT INTO rate_limits (user_id, tokens) VALUES ('user_refused', 0);
"""


def run() -> list[str]:
    """Rows of a Markdown table; a round's figure is the median of 400 commits."""
    with embedded_postgres() as url:
        database = Database(lambda: url)
        migrate(database)
        database.run(lambda connection: connection.execute(_SETUP))
        database.run(lambda connection: connection.execute("VACUUM ANALYZE"))
        rounds = [_round(database) for _ in range(_ROUNDS)]
        database.close()
    lines = ["| one bucket, one commit | µs | times a bare UPDATE |", "|---|---:|---:|"]
    for name in rounds[0]:
        microseconds = median(r[name] for r in rounds)
        # The machine drifts: ratios are taken within a round, then their median.
        ratio = median(r[name] / r["bare UPDATE"] for r in rounds)
        lines.append(f"| {name} | {microseconds:.0f} | {ratio:.2f} |")
    return lines


_turn = count()


def _round(database: Database) -> dict[str, float]:
    """Microseconds. All take turns, so that what slows one down slows down all."""

    def bare(user: str) -> None:
        database.run(lambda connection: connection.execute(_BARE, [1.0, user]))

    def allowed(user: str) -> None:
        assert consume(database, user).allowed

    def refused(_user: str) -> None:
        assert not consume(database, "user_refused").allowed

    contenders: dict[str, Callable[[str], None]] = {
        "bare UPDATE": bare,
        "consume_rate_limit, allowed": allowed,
        "consume_rate_limit, refused": refused,
    }
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(_TURNS):
        user = f"user_{next(_turn) % _USERS + 1}"
        for name, work in contenders.items():
            began = time.perf_counter()
            work(user)
            times[name].append(time.perf_counter() - began)
    return {name: median(taken) * 1e6 for name, taken in times.items()}
