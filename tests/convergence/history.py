"""What a history is made of: doors that are asked, and whether they spoke the truth."""

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Final, Literal

from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from tests.convergence.answers import (
    odd_answer,
    other_action,
    other_row,
    uncommitted,
    wrong_self_sync,
)
from tests.convergence.arena import Arena, BulkSyncRaisedError
from tests.convergence.look import NOTHING, Look, Seen, rows
from tests.convergence.model_clerk import Delivery, ModelClerk, Person
from tests.convergence.truth import (
    BrokenRuleError,
    Policy,
    check_rules,
    differences,
    hold,
    stale,
    vanished,
)
from tests.doors import Answer

Told = Literal["now", "later", "never"]

_TOLD: Final = ("status", "fetched", "deleted", "continues", "reason")
_UPSERTED: Final = ("created", "updated", "unchanged", "skipped", "failed")


class HistoryBase(RuleBasedStateMachine):
    """Rules, and so the steps of a history, are added by subclasses."""

    arena: ClassVar[Arena]
    tally: ClassVar[Counter[str]] = Counter()
    """How often what has happened, over all histories."""
    first_failure_at: ClassVar[int] = 0
    """How many steps had been taken when a rule was broken first; 0 for none."""

    def __init__(self) -> None:
        super().__init__()
        self.arena.reset()
        self.clerk = ModelClerk(self.arena.clerk)
        self.arena.clerk.users = self.clerk.directory
        self.policy = Policy()
        self.pending: list[Delivery] = []
        self.tiers: dict[str, str] = {}
        self.before: Look = {}
        self.seen: Look = {}
        self.is_quiet = True
        """Nothing goes wrong in this step, and nothing happens beside it."""
        self.is_alone = True
        """Nothing happens beside this step; it may go wrong."""
        self.story: list[str] = []
        self.is_broken = False
        self.aftermath = 0

    @initialize(
        people=st.integers(0, 5),
        told=st.sampled_from(["now", "later"]),
        email_optional=st.booleans(),
        soft_delete=st.booleans(),
        generous=st.booleans(),
        workers=st.sampled_from([1, 1, 3]),
        aftermath=st.integers(0, 3),
        number=st.integers(0, 9_999),
    )
    def begin(
        self,
        *,
        people: int,
        told: Told,
        email_optional: bool,
        soft_delete: bool,
        generous: bool,
        workers: int,
        aftermath: int,
        number: int,
    ) -> None:
        # Number 0 takes the first of all steps, again and again: not worth telling.
        assume(number)
        self.policy = Policy(
            require_email=not email_optional,
            soft_delete=soft_delete,
            max_orphan_ratio=0.5 if generous else 0.1,
            workers=workers,
        )
        for name, value in self.policy.environment().items():
            self.arena.environment.setenv(name, value)
        self.tally["histories"] += 1
        self.aftermath = aftermath
        with self.step(f"begin: {self.policy}"):
            for email in range(people):
                self.tell(self.clerk.sign_up(email, {"first_name": "Noor"}), told)

    @invariant()
    def the_rules_hold(self) -> None:
        """After every step, seen over a connection of our own."""
        with self.step("    rules"):
            self.look()
        self.story.pop()

    def teardown(self) -> None:
        if not self.is_broken:
            with self.step("the end"):
                self._end_equal()

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Tell of it in the story, and of the story where it fails."""
        self.story.append(title)
        try:
            yield
        except BrokenRuleError as error:
            if not self.is_broken:
                error.add_note("\n".join(["The history:", *self.story]))
            self._note_failure()
            raise
        except Exception:
            self._note_failure()
            raise

    def look(self) -> Look:
        """See what is stored now, and whether it may be."""
        self.before, self.seen = self.seen, self.arena.look()
        for clerk_id in vanished(self.before, self.seen):
            self.tiers.pop(clerk_id, None)
        check_rules(self.clerk, self.policy, self.before, self.seen, self.tiers)
        return self.seen

    def stored(self, person: Person) -> Seen:
        return self.seen.get(person.id, NOTHING)

    def tell(self, deliveries: Iterable[Delivery], told: Told) -> None:
        """Let the events of a change at Clerk arrive, wait, or get lost."""
        for delivery in deliveries:
            self.note(
                f"Clerk: {delivery.type} {delivery.person.id} at {delivery.version}"
                f" {delivery.person.profile.emails} ({told})"
            )
            if told == "now":
                self.deliver(delivery)
            elif told == "later":
                self.pending.append(delivery)

    def deliver(self, delivery: Delivery) -> None:
        """Post an event; when it is not taken, it waits to be posted again."""
        self.tally["deliveries"] += 1
        person = delivery.person
        was = self.stored(person)
        answer = self.arena.deliver(delivery)
        self.note(f"{delivery.type} {person.id} at {delivery.version}: {answer.body}")
        if answer.status != 200:
            hold("a webhook's answer", [str(answer)] if answer.status != 500 else [])
            self._check_failure(str(answer))
            self.pending.append(delivery)
            return
        hold("a webhook's answer", odd_answer(delivery, answer))
        if delivery.version is None:
            person.buried = True
        now = self.look().get(person.id, NOTHING)
        hold("200 means committed", uncommitted(delivery, now))
        if self.is_quiet:
            action = answer.body["action"]
            hold("the action is what was done", other_action(action, was, now))

    def sync(self, person: Person) -> Answer:
        """POST /api/users/sync by this person's browser."""
        self.tally["self-syncs"] += 1
        was = self.stored(person)
        answer = self.arena.self_sync(person)
        self.note(f"self-sync of {person.id}: {answer.status}")
        now = self.look().get(person.id, NOTHING)
        if answer.status == 200:
            hold("200 means committed", other_row(answer, now))
        elif answer.status >= 500:
            self._check_failure(str(answer))
        if self.is_quiet:
            problems = wrong_self_sync(person, self.policy, was, now, answer)
            hold("a self-sync stores what Clerk shows", problems)
        return answer

    def bulk(self, event: dict[str, Any], seconds: float = 0) -> dict[str, Any] | None:
        """A bulk run; None when the function raised, which it may when not quiet."""
        self.tally["bulk runs"] += 1
        was = self.seen
        report: dict[str, Any] | None = None
        try:
            report = self.arena.bulk_sync(event, seconds)
        except BulkSyncRaisedError as error:
            self.note(f"bulk {event}: raised {error}")
            self._check_failure(str(error))
        else:
            told = {name: report[name] for name in _TOLD}
            self.note(f"bulk {event}: {told}")
        now = self.look()
        if event.get("dry_run"):
            changed = [i for i in now if now[i].content != was.get(i, NOTHING).content]
            hold("a dry run writes nothing", changed)
        if self.is_alone and not event.get("force") and event.get("mode") != "user":
            hold("no more orphans than allowed", self._too_many(was, now))
        if report is not None:
            self._check_report(event, report)
        return report

    def note(self, what: str) -> None:
        self.story.append(f"    {what}")

    def _check_failure(self, what: str) -> None:
        """A failure is only for who had one; one lost connection is none."""
        if self.is_quiet:
            raise BrokenRuleError("no error leaves a door", what)
        wire, connected = self.arena.wire, self.arena.was_connected
        if len(wire.cuts) == 1 and connected and not wire.cut_a_beginning:
            detail = f"{what} after one lost connection"
            raise BrokenRuleError("a lost connection is made again", detail)

    def _too_many(self, was: Look, now: Look) -> Iterable[str]:
        gone = vanished(was, now)
        orphans = {i for i in gone if not self.clerk.by_id[i].buried}
        allowed = int(self.policy.max_orphan_ratio * len(rows(now) | gone))
        if self.clerk.living or not self.is_quiet:
            allowed = max(allowed, 1)
        if len(orphans) > allowed:
            yield f"{len(orphans)} of {len(rows(now) | gone)}: {sorted(orphans)}"

    def _check_report(self, event: dict[str, Any], report: dict[str, Any]) -> None:
        mode, status = event.get("mode", "full"), report["status"]
        if mode != "cleanup":
            counted = sum(report[name] for name in _UPSERTED)
            if report["fetched"] != counted:
                raise BrokenRuleError("a report adds up", str(report))
        if not self.is_quiet or report["continues"] is not None:
            return
        if status not in {"completed", "refused"}:
            raise BrokenRuleError("a quiet run completes", str(report))
        if status == "completed" and not event.get("dry_run"):
            self._check_completed(mode)

    def _check_completed(self, mode: str) -> None:
        if mode == "full":
            problems = differences(self.clerk, self.policy, self.seen)
            hold("completed means equal to Clerk", problems)
        if mode == "cleanup":
            left = [p.id for p in self.clerk.people if not p.alive]
            orphans = [i for i in left if self.seen.get(i, NOTHING).row]
            hold("a cleanup leaves no orphan", orphans)
        if mode == "incremental":
            # All that happens in a history is younger than the overlap of two runs.
            for person in self.clerk.living:
                problems = stale(person, self.policy, self.stored(person))
                hold("an incremental run sees what is new", problems)

    def _end_equal(self) -> None:
        """All faults off, a complete full run, and then whatever is still to come."""
        self.is_quiet = True
        self.arena.quieten()
        self.arena.clerk.users = self.clerk.directory
        self.look()
        # First, runs that others have left unfinished come to their end.
        while self._full_run()["continues"]:
            pass
        problems = differences(self.clerk, self.policy, self.seen)
        hold("it ends equal to Clerk", problems)
        if self.aftermath:
            sent = self.clerk.sent
            everything = [d for d in sent if not d.person.changed_within_a_version]
            random.Random(self.aftermath).shuffle(everything)
            for delivery in everything:
                self.deliver(delivery)
            problems = differences(self.clerk, self.policy, self.seen)
            hold("it stays equal to Clerk", problems)

    def _full_run(self) -> dict[str, Any]:
        report = self.bulk({"mode": "full", "force": True})
        if report is None:
            raise BrokenRuleError("a quiet run completes", self.story[-1])
        return report

    def _note_failure(self) -> None:
        self.is_broken = True
        first = HistoryBase.first_failure_at or self.tally["steps"]
        HistoryBase.first_failure_at = first
