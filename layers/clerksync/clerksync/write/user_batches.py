"""The write path of a run: many users at once, and what a dry run says of them."""

import copy
from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from typing import Self

from clerksync.clerk.user import ClerkUser
from clerksync.write.asking import Ask
from clerksync.write.email_rule import ReadRule, as_text
from clerksync.write.locks import until_unlocked
from clerksync.write.outcome import Outcome
from clerksync.write.preview import Preview
from clerksync.write.refused_row import IS_LOCKED, Refusal
from clerksync.write.rows import Prepared, StagedRow
from clerksync.write.user_table import UserTable


class UserBatches(UserTable):
    """A user table whose users are written in batches."""

    read_rule: ReadRule | None = None
    """For dry runs, and for counting who is held back. The write path has the rule of
    the table since it was installed."""

    def for_run(self, ask: Ask, *, deadline: float) -> Self:
        """Return the same table for one run, with its own way to ask Clerk.

        At the `deadline`, of time.monotonic(), batches end with OutOfTimeError.
        """
        users = copy.copy(self)
        users._ask = ask  # noqa: SLF001 - of this very class
        users._deadline = deadline  # noqa: SLF001 - same
        for of_one_run in ("_preview", "_batches"):
            users.__dict__.pop(of_one_run, None)
        return users

    def doubt_claims(self, *, before: datetime) -> None:
        """Doubt newer versions that were claimed before this, by the database's clock.

        Of those, a batch returns users in `ahead`. It applies what Clerk returned by ID
        if `confirmed_at` is later than the claim. Only call it on a table `for_run`,
        before its first batch.
        """
        self._doubted_before = before

    def upsert_prepared(
        self, prepared: Prepared, *, dry_run: bool = False, at_once: bool = False
    ) -> Outcome:
        """Apply users; of several versions of one, the newest.

        Users that the table refuses end in `failed`, those whose rows another
        transaction has locked in `locked`, and the others are applied. A dry run finds
        out what would happen and changes nothing. It only reads, so it does not foresee
        which rows a constraint or trigger would refuse. With `at_once`, raises
        SlowBatchError if the table is too slow to take all at once.
        """
        rows = prepared.newest()
        outcome = Outcome(
            unchanged=len(prepared.rows) - len(rows), failed=list(prepared.failed)
        )
        if rows:
            if dry_run:
                outcome.add(self._preview.outcome(rows))
                return outcome
            # First, so that nothing can fail between the write and its report.
            outcome.held_back += self._preview.held_back(rows)
            outcome.add(self._batches.write(rows, at_once=at_once))
            if outcome.blocked:
                self._reassign_emails(rows, outcome)
            self._name_losers(outcome)
        return outcome

    def upsert_locked(self, rows: list[StagedRow]) -> Outcome:
        """Apply users of `Outcome.locked`. Those whose rows stay locked end in
        `failed`."""
        outcome = Outcome()

        def attempt(rows: list[StagedRow]) -> list[StagedRow]:
            outcome.add(self._batches.write(sorted(rows)))
            if outcome.blocked:
                self._reassign_emails(rows, outcome)
            locked, outcome.locked = outcome.locked, []
            return locked

        for row in until_unlocked(attempt, rows, seconds=self.lock_timeout):
            outcome.add(self._batches.refused(row, Refusal(IS_LOCKED)))
        self._name_losers(outcome)
        return outcome

    def upsert_many(
        self,
        users: Iterable[ClerkUser],
        *,
        confirmed_at: datetime | None = None,
        dry_run: bool = False,
    ) -> Outcome:
        """Prepare users, and do what `upsert_prepared` does, then `upsert_locked`."""
        prepared = self.rows.prepare(users, confirmed_at=confirmed_at)
        outcome = self.upsert_prepared(prepared, dry_run=dry_run)
        locked, outcome.locked = outcome.locked, []
        outcome.add(self.upsert_locked(locked))
        return outcome

    @cached_property
    def _preview(self) -> Preview:
        return Preview(
            self._database,
            self.mapping,
            self.schema,
            require_email=bool(self._flags[0]),
            read_rule=self.read_rule or as_text,
            doubted_before=self._doubted_before,
        )
