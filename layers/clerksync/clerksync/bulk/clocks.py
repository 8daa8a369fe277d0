"""Clerk's clock and the database's, which may be far apart.

What Clerk dates (when a user was created or updated) is compared with Clerk's clock,
which a run knows by the Date of Clerk's responses. What the database dates (when a run
began, when a user was synced) is compared with the database's.
"""

from datetime import UTC, datetime
from typing import Final

from clerksync.clerk.api import ClerkApi
from clerksync.observability import logger

# The Date of a response is rounded down to the second.
_ROUNDED_MS: Final = 1000
# A clock that is further off than this is not Clerk's: a proxy has dated the response.
_CLERKS_MS: Final = 24 * 60 * 60 * 1000
_FAR_APART_MS: Final = 60_000


def end_of_listing(clerk: ClerkApi, database_now: datetime) -> int:
    """Return a time that no user created so far is later than. Unix ms, by Clerk's
    clock, or by the database's if no response of Clerk's says what time it is."""
    return _ms(database_now) + clerk_ahead_ms(clerk, database_now) + _ROUNDED_MS


def clerk_ahead_ms(clerk: ClerkApi, database_now: datetime) -> int:
    """Return by how much Clerk's clock is ahead of the database's. 0 if it is not
    known, and if the response's date cannot be Clerk's."""
    now = clerk.now()
    ahead = 0 if now is None else now - _ms(database_now)
    if abs(ahead) < _CLERKS_MS:
        return ahead
    logger.warning("the date of Clerk's responses is not used", clerk_ahead_ms=ahead)
    return 0


def clocks_far_apart(ahead_ms: int) -> str | None:
    """Return what to do about clocks that are far apart, or None."""
    if abs(ahead_ms) < _FAR_APART_MS:
        return None
    where = "behind" if ahead_ms > 0 else "ahead of"
    return (
        f"The database's clock is {abs(ahead_ms) // 1000} seconds {where} Clerk's: let "
        "NTP set it. The run went by each clock where it applies."
    )


def at(unix_ms: int) -> datetime:
    """Return a time of Clerk's as Postgres takes it."""
    return datetime.fromtimestamp(unix_ms / 1000, UTC)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
