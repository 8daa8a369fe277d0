"""The row of a user for server code, which may be asked before the webhook came."""

import time
from functools import lru_cache
from typing import Any, Final

from clerksync.clerk.api import ClerkApi
from clerksync.clerk.user import ClerkUser, is_clerk_id
from clerksync.errors import (
    DeletedUserError,
    InvalidPayloadError,
    MissingEmailError,
    OtherInstanceTokenError,
    UnknownUserError,
)
from clerksync.observability import logger
from clerksync.write.outcome import Outcome
from clerksync.write.user_table import UserTable

_KNOWN_SECONDS: Final = 300


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
    users: UserTable, clerk: ClerkApi, clerk_id: str, *, signed_by: str | None = None
) -> tuple[ClerkUser, Outcome]:
    """Store what Clerk says of one user. No transaction is open while it is asked.

    `signed_by` is the key ID of the session token, if one was verified.

    Raises OtherInstanceTokenError when the table holds the users of another instance,
    UnknownUserError when Clerk does not know the user, DeletedUserError when a
    deletion came in meanwhile, ClerkUnavailableError and ClerkRequestError when Clerk
    cannot be asked, UnreadableUserError when its response cannot be read, and
    InvalidPayloadError when Postgres cannot hold what it says.
    """
    if not is_clerk_id(clerk_id):
        raise UnknownUserError("A Clerk user id begins with user_.")
    confirmed_at, owners = users.clock_and_owners()
    # The ID of an instance's signing key is that of the instance. Clerk does not
    # promise it, so what else the ID may be leads to a request and not to a refusal.
    if not owners <= {signed_by}:
        _check_instance(clerk, owners)
    user = clerk.user(clerk_id)
    if user is None:
        raise UnknownUserError("Clerk no longer knows this user.")
    outcome = users.upsert(user, confirmed_at=confirmed_at)
    if user.id in outcome.tombstoned:
        raise DeletedUserError("This user was deleted meanwhile.")
    return user, outcome


def _check_instance(clerk: ClerkApi, owners: set[str]) -> None:
    """Raise OtherInstanceTokenError if CLERK_SECRET_KEY, which shows the users that
    would be stored, belongs to another instance than the table."""
    if owners == {_instance_of_key(clerk, time.monotonic() // _KNOWN_SECONDS)}:
        return
    instance = clerk.instance().id  # the key may have been changed
    if owners != {instance}:
        raise OtherInstanceTokenError(instance, sorted(owners))


@lru_cache(maxsize=4)
def _instance_of_key(clerk: ClerkApi, _period: float) -> str:
    return clerk.instance().id


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
