"""What people do at Clerk, and what becomes of the events that tell of it."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.convergence.disturbances import DisturbedHistory
from tests.convergence.history import Told
from tests.convergence.step import step
from tests.convergence.strategies import (
    CHANGE,
    CUTS,
    EMAIL,
    GIVEN,
    TOLD,
    WHICH,
    WHO,
    Change,
)
from tests.convergence.wire import Moment


class LifeAtClerk(DisturbedHistory):
    """Events arrive now, later, again, in another order, or never."""

    @rule(email=st.none() | EMAIL, given=GIVEN, told=TOLD)
    @step
    def sign_up(self, *, email: int | None, given: dict[str, Any], told: Told) -> None:
        self.tell(self.clerk.sign_up(email, given), told)

    @rule(
        emails=st.lists(EMAIL, min_size=2, max_size=4),
        long_ago=st.booleans(),
        told=TOLD,
    )
    @step
    def import_users(self, *, emails: list[int], long_ago: bool, told: Told) -> None:
        self.tell(self.clerk.import_users(emails, long_ago=long_ago), told)

    @rule(who=WHO, change=CHANGE, told=TOLD)
    @step
    def alter(self, *, who: int, change: Change, told: Told) -> None:
        self.tell(self.clerk.alter(who, dict([change])), told)

    @rule(who=WHO, change=CHANGE, told=TOLD)
    @step
    def alter_within_a_version(self, *, who: int, change: Change, told: Told) -> None:
        deliveries = self.clerk.alter(who, dict([change]), same_version=True)
        self.tell(deliveries, told)

    @rule(who=WHO, email=EMAIL, keep_old=st.booleans(), told=TOLD)
    @step
    def move(self, *, who: int, email: int, keep_old: bool, told: Told) -> None:
        self.tell(self.clerk.move(who, email, keep_old=keep_old), told)

    @rule(who=WHO, keep=st.booleans(), told=TOLD)
    @step
    def lose_email(self, *, who: int, keep: bool, told: Told) -> None:
        self.tell(self.clerk.lose_email(who, keep=keep), told)

    @rule(who=WHO, people=st.sampled_from([2, 3]), told=TOLD)
    @step
    def rotate_emails(self, *, who: int, people: int, told: Told) -> None:
        self.tell(self.clerk.rotate(who, people), told)

    @rule(who=WHO, email=EMAIL, told=TOLD)
    @step
    def chain_emails(self, *, who: int, email: int, told: Told) -> None:
        self.tell(self.clerk.chain(who, email), told)

    @rule(who=WHO, told=TOLD)
    @step
    def leave(self, *, who: int, told: Told) -> None:
        self.tell(self.clerk.leave(who), told)

    @rule(who=WHO, people=st.integers(2, 4))
    @step
    def leave_unheard(self, *, who: int, people: int) -> None:
        """The endpoint was disabled, say: nobody ever tells of them."""
        for _ in range(people):
            self.tell(self.clerk.leave(who), "never")

    @rule(which=WHICH, again=st.booleans())
    @step
    def deliver_late(self, *, which: int, again: bool) -> None:
        """Out of order, and perhaps not for the last time."""
        self.deliver_one(which, again=again)

    @rule(which=WHICH)
    @step
    def deliver_anything_again(self, *, which: int) -> None:
        """Also what was lost, and what was taken long ago."""
        if self.clerk.sent:
            self.deliver(self.clerk.sent[which % len(self.clerk.sent)])

    @rule()
    @step
    def deliver_all(self) -> None:
        waiting, self.pending = self.pending, []
        for delivery in waiting:
            self.deliver(delivery)

    @rule(which=WHICH, cuts=CUTS)
    @step
    def deliver_over_a_bad_line(self, *, which: int, cuts: dict[int, Moment]) -> None:
        with self.bad_line(cuts):
            self.deliver_one(which, again=False)

    @rule(who=WHO)
    @step
    def application_sells_a_plan(self, *, who: int) -> None:
        person = self.clerk.somebody(who)
        if person is not None and self.stored(person).row is not None:
            self.tiers[person.id] = "PRO"
            query = "UPDATE users SET tier = 'PRO' WHERE id = %s"
            self.arena.inspector.execute(query, [person.id])

    @rule()
    @step
    def database_restarts(self) -> None:
        """All connections end while nobody uses them."""
        self.tally["idle connections ended"] += self.arena.hang_up()
