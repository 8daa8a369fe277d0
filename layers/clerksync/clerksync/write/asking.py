"""Ask Clerk for users by ID, of whom one may be unreadable."""

from collections.abc import Callable, Sequence

from clerksync.clerk.user import ClerkUser
from clerksync.errors import InvalidPayloadError
from clerksync.observability import logger

Ask = Callable[[Sequence[str]], list[ClerkUser]]
"""Returns those of up to 100 users that Clerk knows, as they are now. Raises
InvalidPayloadError if one of them cannot be read: it would pass for gone."""


def ask_for_all(ask: Ask, clerk_ids: Sequence[str]) -> tuple[list[ClerkUser], set[str]]:
    """Return the users that Clerk knows, and the IDs of those that cannot be read.

    By halving: one bad user costs a few requests, and the others nothing.
    """
    try:
        return ask(clerk_ids), set()
    except InvalidPayloadError as error:
        if len(clerk_ids) == 1:
            logger.error("user not read", clerk_id=clerk_ids[0], reason=str(error))
            return [], set(clerk_ids)
    middle = len(clerk_ids) // 2
    known, unreadable = ask_for_all(ask, clerk_ids[:middle])
    more_known, more_unreadable = ask_for_all(ask, clerk_ids[middle:])
    return known + more_known, unreadable | more_unreadable
