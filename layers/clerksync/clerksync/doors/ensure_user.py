"""The row of a user for server code, which may be asked before the webhook came."""

from typing import Any

from clerksync.clerk.api import ClerkApi
from clerksync.clerk.user import ClerkUser, is_clerk_id
from clerksync.errors import (
    DeletedUserError,
    InvalidPayloadError,
    MissingEmailError,
    UnknownUserError,
)
from clerksync.observability import logger
from clerksync.write.outcome import Outcome
from clerksync.write.user_table import UserTable


def ensure_user(users: UserTable, clerk: ClerkApi, clerk_id: str) -> dict[str, Any]:
    """The row of a user, who is synced first when there is none yet.

    One query when the row is there: Clerk is not asked, and CLERK_SECRET_KEY not
    needed. Else what `sync_user` and `row_of_synced` do and raise. Whoever else writes
    the same user meanwhile, the row that is given is the one that counts.
    """
    row = users.find(clerk_id)
    if row is None:
        user, outcome = sync_user(users, clerk, clerk_id)
        row = row_of_synced(users, user, outcome)
        logger.info("user ensured", clerk_id=clerk_id, action=outcome.action)
    return row


def sync_user(
    users: UserTable, clerk: ClerkApi, clerk_id: str
) -> tuple[ClerkUser, Outcome]:
    """Store what Clerk says of one user. No transaction is open while it is asked.

    Raises UnknownUserError when Clerk does not know the user, DeletedUserError when a
    deletion came in meanwhile, ClerkUnavailableError and ClerkRequestError when Clerk
    cannot be asked, UnreadableUserError when its response cannot be read, and
    InvalidPayloadError when Postgres cannot hold what it says.
    """
    if not is_clerk_id(clerk_id):
        raise UnknownUserError("A Clerk user id begins with user_.")
    confirmed_at = users.clock()
    user = clerk.user(clerk_id)
    if user is None:
        raise UnknownUserError("Clerk no longer knows this user.")
    outcome = users.upsert(user, confirmed_at=confirmed_at)
    if user.id in outcome.tombstoned:
        raise DeletedUserError("This user was deleted meanwhile.")
    return user, outcome


def row_of_synced(
    users: UserTable, user: ClerkUser, outcome: Outcome
) -> dict[str, Any]:
    """The row after `sync_user`. Where the user got none: raises MissingEmailError when
    that is why, and InvalidPayloadError when another row, which may not be without an
    email, has the user's. Raises DeletedUserError when the user is gone again."""
    row = users.find(user.id)
    if row is not None:
        return row
    if outcome.skipped and user.email:
        raise InvalidPayloadError("Another row here holds the user's email address.")
    if outcome.skipped:
        raise MissingEmailError("The user has no primary email address at Clerk.")
    raise DeletedUserError("This user was deleted meanwhile.")
