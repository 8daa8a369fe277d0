"""Reassign an email where no row may be without one.

The older claim cannot be set to NULL. So its current holder is looked up at Clerk and
written first, as it is now, in the same unit of work: most often it has a different
address by now, or no longer exists.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final, Protocol

import psycopg

from clerksync.clerk.user import IDS_LIMIT
from clerksync.observability import describe, logger
from clerksync.write.asking import Ask, ask_for_all
from clerksync.write.outcome import Outcome
from clerksync.write.refused_row import concerns_statement
from clerksync.write.rows import RowMaker, StagedRow


class Write(Protocol):
    """Applies rows; with `all_asked`, one that stays blocked is written without the
    email."""

    def __call__(
        self, rows: Sequence[StagedRow], *, all_asked: bool = False
    ) -> Outcome: ...


class Delete(Protocol):
    """Deletes users unless they were synced since then; returns the number of rows."""

    def __call__(
        self, clerk_ids: Sequence[str], *, unless_synced_since: datetime
    ) -> int: ...


# The address that a holder has now may have a holder of its own. A longer chain is left
# to the next run.
_MOST_ROUNDS: Final = 5


def reassign_emails(
    rows: Sequence[StagedRow],
    outcome: Outcome,
    ask: Ask | None,
    *,
    maker: RowMaker,
    clock: Callable[[], datetime],
    write: Write,
    delete: Delete | None,
) -> None:
    """Write those of the rows that were blocked, together with their emails' holders.

    A holder that Clerk does not know is deleted, unless `delete` is None. A user who
    stays blocked is written without the email and counted as an email conflict: it
    keeps the email that it had, or gets no row. Raises what `ask` raises; nothing is
    lost by that.
    """
    together = {row[0]: row for row in rows if row[0] in set(outcome.blocked)}
    asked: set[str] = set()
    for _ in range(_MOST_ROUNDS):
        to_ask = set(outcome.holders) - asked
        if not to_ask or ask is None:
            break
        asked |= to_ask
        for holders in _by_hundred(sorted(to_ask)):
            confirmed_at = clock()
            known, unreadable = ask_for_all(ask, holders)
            gone = sorted(set(holders) - {user.id for user in known} - unreadable)
            # A key of a different instance knows nobody: that proves no deletion.
            proven = known or unreadable or (gone and _knows_any(ask, together))
            if gone and proven and delete is not None:
                outcome.deleted += _deleted(delete, gone, confirmed_at)
            fresh = maker.prepare(known, confirmed_at=confirmed_at)
            outcome.asked += sum(row[0] not in together for row in fresh.rows)
            together |= {row[0]: row for row in fresh.rows}
        outcome.blocked, outcome.holders = [], []
        outcome.add(write(sorted(together.values())))
        together = {i: row for i, row in together.items() if i in outcome.blocked}
        if outcome.locked:
            break
    outcome.blocked, outcome.holders = [], []
    if together and outcome.locked:
        # Who waits for the email of a locked holder is tried again with it.
        locked = [*outcome.locked, *together.values()]
        outcome.locked = [*{row[0]: row for row in locked}.values()]
    elif together:
        outcome.add(write(sorted(together.values()), all_asked=True))


def _knows_any(ask: Ask, clerk_ids: Iterable[str]) -> bool:
    known, unreadable = ask_for_all(ask, sorted(clerk_ids)[:IDS_LIMIT])
    return bool(known or unreadable)


def _deleted(delete: Delete, gone: Sequence[str], since: datetime) -> int:
    deleted = 0
    for clerk_id in gone:
        try:
            deleted += delete([clerk_id], unless_synced_since=since)
        except psycopg.Error as error:
            if concerns_statement(error):
                raise
            logger.error("user not deleted", clerk_id=clerk_id, **describe(error))
    return deleted


def _by_hundred(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), IDS_LIMIT):
        yield ids[start : start + IDS_LIMIT]
