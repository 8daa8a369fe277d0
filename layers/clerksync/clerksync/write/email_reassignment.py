"""An email that moves on, where no row may be without one.

The older claim cannot be set to NULL. So its holder is looked up at Clerk and written
first, as it is now, in the same unit of work: most often it has another address by now,
or is gone.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from clerksync.clerk.user import IDS_LIMIT, ClerkUser
from clerksync.observability import describe, logger
from clerksync.write.deletion import BLOCKED
from clerksync.write.outcome import Outcome, StagedRow

if TYPE_CHECKING:  # it imports this module
    from clerksync.write.user_table import UserTable

Ask = Callable[[Sequence[str]], list[ClerkUser]]
"""Which of up to 100 users Clerk knows, as it gives them now."""

# The address that a holder has now may be held by yet another. A longer chain is left
# to the next run.
_MOST_ROUNDS: Final = 5


def hand_over(
    users: "UserTable",
    rows: Sequence[StagedRow],
    outcome: Outcome,
    ask: Ask | None,
    *,
    dry_run: bool = False,
) -> None:
    """Write those of the rows that were blocked, together with who holds their emails.

    A holder that Clerk does not know is deleted. Who stays blocked is written without
    the email, and counted as an email conflict: keeps the one that there was, or gets
    no row. Raises what `ask` raises; nothing is lost by that.
    """
    together = {row[0]: row for row in rows if row[0] in set(outcome.blocked)}
    asked: set[str] = set()
    for _ in range(_MOST_ROUNDS):
        to_ask = set(outcome.holders) - asked
        if not to_ask or ask is None:
            break
        asked |= to_ask
        for holders in _by_hundred(sorted(to_ask)):
            confirmed_at = users.clock()
            known = ask(holders)
            gone = sorted(set(holders) - {user.id for user in known})
            # A key of another instance knows nobody: that proves no deletion.
            proven = known or (gone and ask(sorted(together)[:IDS_LIMIT]))
            if gone and proven and not dry_run:
                outcome.deleted += _deleted(users, gone, confirmed_at)
            fresh = users.prepare(known, confirmed_at=confirmed_at)
            outcome.asked += sum(row[0] not in together for row in fresh.rows)
            together |= {row[0]: row for row in fresh.rows}
        outcome.blocked, outcome.holders = [], []
        outcome.add(users.upsert_rows(sorted(together.values()), dry_run=dry_run))
        together = {i: row for i, row in together.items() if i in outcome.blocked}
    if together:
        outcome.blocked, outcome.holders = [], []
        left = sorted(together.values())
        outcome.add(users.upsert_rows(left, dry_run=dry_run, all_asked=True))


def _deleted(users: "UserTable", gone: Sequence[str], since: datetime) -> int:
    deleted = 0
    for clerk_id in gone:
        try:
            deleted += users.delete([clerk_id], unless_synced_since=since)
        except BLOCKED as error:
            logger.error("user not deleted", clerk_id=clerk_id, **describe(error))
    return deleted


def _by_hundred(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), IDS_LIMIT):
        yield ids[start : start + IDS_LIMIT]
