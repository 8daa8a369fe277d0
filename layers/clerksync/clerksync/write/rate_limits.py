"""Rate limits of users, for an application's own code."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import args_row

from clerksync.postgres.database import Database

FUNCTION: Final = "consume_rate_limit"


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a request may go on, and what is left."""

    allowed: bool
    remaining: float
    """Tokens in the bucket now. They come back bit by bit, so it need not be whole."""
    retry_after_ms: int | None
    """0 when allowed. None when waiting does not help: more than the tier's capacity
    was asked for, the tier gets nothing back, or the user was deleted."""

    @property
    def retry_after_seconds(self) -> int | None:
        """For HTTP's Retry-After, rounded up."""
        if self.retry_after_ms is None:
            return None
        return math.ceil(self.retry_after_ms / 1000)


def consume(
    database: Database | psycopg.Connection[Any],
    clerk_id: str,
    cost: float = 1,
    *,
    schema: str = "public",
) -> Decision:
    """Take `cost` tokens out of a user's bucket, if there are as many. One round trip.

    Of all that ask at once, exactly as many are allowed as the bucket has tokens for. A
    change of tier counts from the next call on. A tier that the table `tiers` does not
    have counts as the default tier. A user who is not synced yet is answered as by a
    full bucket of the default tier, and not counted: let `ensure_user` come first. A
    deleted one is refused.

    A connection of your own will do as well. Within a transaction, the bucket stays
    locked until its end, and what was taken is given back when it is rolled back.

    Raises ValueError for an empty id and for a cost that is not a number above 0, and
    what `Database.run` does; over a connection of your own, psycopg.Error.
    """
    if not clerk_id:
        raise ValueError("clerk_id is empty")
    if not cost > 0:  # NaN too
        raise ValueError("cost must be a number above 0")

    def work(connection: psycopg.Connection[Any]) -> Decision:
        # In text, extra_float_digits would decide how much of a number is seen.
        factory = args_row(Decision)
        with connection.cursor(binary=True, row_factory=factory) as cursor:
            decision = cursor.execute(_call(schema), [clerk_id, cost]).fetchone()
        if decision is None:
            raise AssertionError("a function that always gives one row gave none")
        return decision

    return database.run(work) if isinstance(database, Database) else work(database)


@lru_cache
def _call(schema: str) -> bytes:
    """As bytes: a composed query would be put together anew each time."""
    query = sql.SQL(
        "SELECT allowed, remaining, retry_after_ms"
        " FROM {}(%s::text, %s::double precision)"
    )
    return query.format(sql.Identifier(schema, FUNCTION)).as_bytes()
