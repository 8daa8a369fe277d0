"""The doors that ask Clerk, and with them every step that a history can take."""

import threading

from hypothesis import strategies as st
from hypothesis.stateful import rule

from local.stub_clerk.faults import StubRequest
from tests.convergence.history import Told
from tests.convergence.life_at_clerk import LifeAtClerk
from tests.convergence.step import step
from tests.convergence.strategies import (
    ANSWERED,
    AT,
    BREAKS,
    CUTS,
    CUTS_OF_A_RUN,
    HAPPENING,
    MODE,
    RESTORED,
    TOLD,
    WHO,
    Answered,
    Happening,
)
from tests.convergence.truth import BrokenRuleError, differences, hold, stale
from tests.convergence.wire import Moment


class Convergence(LifeAtClerk):
    """Self-sync and bulk sync: alone, disturbed, overtaken, and two at once."""

    @rule(who=WHO)
    @step
    def self_sync(self, *, who: int) -> None:
        """Also by somebody who has left: a token outlives its user."""
        person = self.clerk.anybody(who)
        if person is not None:
            self.sync(person)

    @rule(who=WHO)
    @step
    def look_at_oneself(self, *, who: int) -> None:
        person = self.clerk.anybody(who)
        if person is None:
            return
        self.tally["looks at oneself"] += 1
        answer = self.arena.self_sync(person, "GET")
        row = self.stored(person).row
        if answer.status != (404 if row is None else 200):
            raise BrokenRuleError("a browser sees its row", f"{answer}, stored {row}")
        if row is not None and answer.body["user"]["email"] != row["email"]:
            raise BrokenRuleError("a browser sees its row", f"{answer}, stored {row}")

    @rule(who=WHO, cuts=CUTS)
    @step
    def self_sync_over_a_bad_line(self, *, who: int, cuts: dict[int, Moment]) -> None:
        person = self.clerk.anybody(who)
        if person is not None:
            with self.bad_line(cuts):
                self.sync(person)

    @rule(who=WHO, breaks=BREAKS, times=st.sampled_from([1, 3]))
    @step
    def self_sync_while_clerk_fails(self, *, who: int, breaks: str, times: int) -> None:
        person = self.clerk.anybody(who)
        if person is not None:
            with self.failing_clerk(1, breaks, times):
                self.sync(person)

    @rule(who=WHO, what=HAPPENING, whom=WHO, told=TOLD, answered=ANSWERED)
    @step
    def self_sync_overtaken(
        self, *, who: int, what: Happening, whom: int, told: Told, answered: Answered
    ) -> None:
        """Clerk has been asked, and is about to answer, or has answered."""
        person = self.clerk.anybody(who)
        if person is not None:
            with self.meanwhile(1, answered, lambda: self.happen(what, whom, told)):
                self.sync(person)

    @rule(who=WHO, answered=ANSWERED)
    @step
    def self_sync_while_leaving(self, *, who: int, answered: Answered) -> None:
        """The deletion arrives while Clerk is being asked for the very user."""
        person = self.clerk.somebody(who)
        if person is not None:
            with self.meanwhile(1, answered, lambda: self.happen("leave", who, "now")):
                self.sync(person)

    @rule()
    @step
    def nightly_bulk_run(self) -> None:
        """As the schedule does it: full, and not forced."""
        self.bulk({})

    @rule(mode=MODE, force=st.booleans())
    @step
    def bulk_run(self, *, mode: str, force: bool) -> None:
        self.bulk({"mode": mode, "force": force})

    @rule(mode=MODE, force=st.booleans())
    @step
    def dry_run(self, *, mode: str, force: bool) -> None:
        self.bulk({"mode": mode, "force": force, "dry_run": True})

    @rule(who=WHO, dry_run=st.booleans())
    @step
    def bulk_run_for_one(self, *, who: int, dry_run: bool) -> None:
        person = self.clerk.anybody(who)
        if person is None:
            return
        self.bulk({"mode": "user", "user_id": person.id, "dry_run": dry_run})
        if dry_run:
            return
        if person.alive:
            problems = stale(person, self.policy, self.stored(person))
            hold("a run for one user stores what Clerk shows", problems)
        elif self.stored(person).row is not None:
            raise BrokenRuleError("a run for one user deletes who left", person.id)

    @rule(mode=MODE, cuts=CUTS_OF_A_RUN, force=st.booleans(), dry_run=st.booleans())
    @step
    def bulk_run_over_a_bad_line(
        self, *, mode: str, cuts: dict[int, Moment], force: bool, dry_run: bool
    ) -> None:
        with self.bad_line(cuts):
            self.bulk({"mode": mode, "force": force, "dry_run": dry_run})

    @rule(mode=MODE, at=AT, breaks=BREAKS, times=st.sampled_from([1, 9]))
    @step
    def bulk_run_while_clerk_fails(
        self, *, mode: str, at: int, breaks: str, times: int
    ) -> None:
        with self.failing_clerk(at, breaks, times):
            self.bulk({"mode": mode})

    @rule(mode=MODE, at=AT)
    @step
    def bulk_run_out_of_time(self, *, mode: str, at: int) -> None:
        with self.out_of_time(at) as seconds:
            self.bulk({"mode": mode}, seconds=seconds)

    @rule(
        at=AT,
        what=st.sampled_from(["leave", "sign_up", "move", "alter"]),
        whom=WHO,
        told=TOLD,
        tables=RESTORED,
        is_long_ago=st.booleans(),
    )
    @step
    def backup_restored_in_mid_walk(
        self,
        *,
        at: int,
        what: Happening,
        whom: int,
        told: Told,
        tables: tuple[str, ...],
        is_long_ago: bool,
    ) -> None:
        """The backup is older than what the walk's first run has seen and written."""
        self.arena.age_runs()  # of a walk begun before, completed says less
        self.arena.back_up()
        person = self.clerk.somebody(whom)
        # Of a user who was unknown then, nothing is left after the restore.
        if what != "leave" or (person is not None and self.stored(person).known):
            self.happen(what, whom, told)
        with self.out_of_time(at) as seconds:
            self.bulk({"mode": "full"}, seconds=seconds)
        self.tally["restores"] += 1
        self.arena.restore(*tables)
        if is_long_ago:
            self.arena.age_runs()
        report = self.bulk({"mode": "full", "force": True})
        if report is None or report["status"] != "completed":
            raise BrokenRuleError("a quiet run completes", str(report))
        resumed = report["continues"] is not None
        self.tally["walks resumed after a restore"] += resumed
        if resumed and is_long_ago:
            raise BrokenRuleError("an old walk starts over", str(report))
        problems = differences(self.clerk, self.policy, self.seen)
        hold("completed means equal to Clerk", problems)

    @rule(
        mode=MODE,
        at=AT,
        answered=ANSWERED,
        what=HAPPENING,
        whom=WHO,
        told=TOLD,
        force=st.booleans(),
    )
    @step
    def bulk_run_overtaken(
        self,
        *,
        mode: str,
        at: int,
        answered: Answered,
        what: Happening,
        whom: int,
        told: Told,
        force: bool,
    ) -> None:
        with self.meanwhile(at, answered, lambda: self.happen(what, whom, told)):
            self.bulk({"mode": mode, "force": force})

    @rule(
        mode=st.sampled_from(["full", "cleanup"]),
        changes=st.integers(0, 6),
        lacking=st.none() | WHO,
        counts_too=st.booleans(),
        force=st.booleans(),
    )
    @step
    def bulk_run_on_an_old_listing(
        self,
        *,
        mode: str,
        changes: int,
        lacking: int | None,
        counts_too: bool,
        force: bool,
    ) -> None:
        """The listing lags behind, or lacks somebody; Clerk's answers by id do not."""
        old, now = self.clerk.as_it_was(changes, lacking), self.clerk.directory
        clerk = self.arena.clerk

        def lag(request: StubRequest) -> None:
            listed = request.path == "/v1/users" and "user_id" not in request.query
            counted = request.path == "/v1/users/count" and counts_too
            clerk.users = old if listed or counted else now

        with self.disturbed(is_alone=True):
            self.tally["old listings"] += 1
            clerk.interfere = lag
            report = self.bulk({"mode": mode, "force": force})
        went_on = report is None or report["continues"] is not None
        if went_on or counts_too or len(old) >= len(now):
            return
        self.tally["listings shorter than the count"] += 1
        if report is not None and report["status"] == "completed":
            raise BrokenRuleError("completed means complete", str(report))

    @rule(mode=MODE, other_mode=MODE)
    @step
    def two_bulk_runs_at_once(self, *, mode: str, other_mode: str) -> None:
        errors: list[BaseException] = []

        def other() -> None:
            try:
                self.arena.other_bulk_sync(other_mode)
            except BaseException as error:  # noqa: BLE001 - looked at below
                errors.append(error)

        thread = threading.Thread(target=other)
        self.tally["bulk runs"] += 1
        self.tally["pairs of bulk runs"] += 1
        with self.disturbed(is_alone=False):
            thread.start()
            try:
                report = self.bulk({"mode": mode})
            finally:
                thread.join(60)
            self.look()
        if thread.is_alive() or errors or report is None:
            raise BrokenRuleError("two runs do no harm", f"{errors} {report}")

    @rule(mode=MODE)
    @step
    def bulk_run_with_another_instances_key(self, *, mode: str) -> None:
        if not self.arena.instance_is_known():
            return
        self.tally["other instances"] += 1
        was = self.seen
        with self.arena.another_instance(), self.disturbed(is_alone=True):
            report = self.bulk({"mode": mode})
        if report is None or report["status"] != "refused":
            raise BrokenRuleError("one instance", str(report))
        if [i for i in was if was[i].content != self.seen[i].content]:
            raise BrokenRuleError("one instance", "it was refused, and wrote")
