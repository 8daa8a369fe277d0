"""What goes wrong, or goes on, while a door is at work."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from local.stub_clerk.faults import Fault, StubRequest
from tests.convergence.history import HistoryBase, Told
from tests.convergence.model_clerk import EMAILS
from tests.convergence.strategies import Answered, Happening
from tests.convergence.wire import Moment
from tests.foreign_responses import FOREIGN

_FAULTS: Final = {
    "connection": Fault(breaks="connection"),
    "body": Fault(breaks="body"),
    "json": Fault(breaks="json"),
    "500": Fault(status=500),
    "401": Fault(status=401),
    "404": Fault(status=404),
} | FOREIGN


class DisturbedHistory(HistoryBase):
    """A disturbance belongs to the step that it is drawn with, and ends with it."""

    def deliver_one(self, which: int, *, again: bool) -> None:
        if self.pending:
            delivery = self.pending.pop(which % len(self.pending))
            self.deliver(delivery)
            if again and delivery not in self.pending:
                self.pending.append(delivery)

    def happen(self, what: Happening, who: int, told: Told) -> None:
        """Something at Clerk or on the way, beside what the step is about."""
        self.note(f"meanwhile: {what}")
        if what == "leave":
            self.tell(self.clerk.leave(who), told)
        elif what == "sign_up":
            self.tell(self.clerk.sign_up(who % len(EMAILS), {}), told)
        elif what == "move":
            email = who % len(EMAILS)
            self.tell(self.clerk.move(who, email, keep_old=False), told)
        elif what == "alter":
            self.tell(self.clerk.alter(who, {"first_name": f"Meanwhile {who}"}), told)
        else:
            self.deliver_one(who, again=False)

    @contextmanager
    def bad_line(self, cuts: dict[int, Moment]) -> Iterator[None]:
        wire = self.arena.wire
        wire.plan(cuts)
        with self.disturbed(is_alone=True):
            yield
            for moment in wire.cuts:
                self.tally[f"connections cut {moment}"] += 1
            # Before somebody looks: what was cut off may still be committing.
            self.arena.wait_for_the_cut_off()
        wire.plan({})

    @contextmanager
    def disturbed(self, *, is_alone: bool) -> Iterator[None]:
        """What is done inside may fail, and must do no harm."""
        self.is_quiet, self.is_alone = False, is_alone
        yield
        self.arena.clerk.reset_faults()
        self.arena.clerk.users = self.clerk.directory
        self.is_quiet = self.is_alone = True

    @contextmanager
    def failing_clerk(self, at: int, breaks: str, times: int) -> Iterator[None]:
        """From the n-th question on, so many answers are none."""
        asked = 0

        def fail(_: StubRequest) -> Fault | None:
            nonlocal asked
            asked += 1
            if at <= asked < at + times:
                self.tally[f"answers of Clerk broken: {breaks}"] += 1
                return _FAULTS[breaks]
            return None

        with self.disturbed(is_alone=True):
            self.arena.clerk.interfere = fail
            yield

    @contextmanager
    def out_of_time(self, at: int) -> Iterator[float]:
        """Lambda's time is over when Clerk is asked for the n-th time. Yields how many
        seconds Lambda gives."""
        hour = 3600.0
        clock = self.arena.clock
        spent = 0.0

        def end() -> None:
            nonlocal spent
            spent = hour
            clock.put_forward(hour)

        self.tally["deadlines"] += 1
        try:
            with self.meanwhile(at, "after", end):
                yield hour / 4
        finally:
            clock.put_forward(-spent)

    @contextmanager
    def meanwhile(
        self, at: int, answered: Answered, happen: Callable[[], None]
    ) -> Iterator[None]:
        """At the n-th question something happens, before or after Clerk answered."""
        asked = 0
        errors: list[BaseException] = []
        clerk = self.arena.clerk

        def interfere(_: StubRequest) -> None:
            nonlocal asked
            asked += 1
            clerk.users = self.clerk.directory
            if asked != at:
                return
            before = self.clerk.as_it_was(0)
            try:
                happen()
            except BaseException as error:  # noqa: BLE001 - raised again below
                errors.append(error)
            self.tally["overtaken"] += 1
            if answered == "before":
                clerk.users = before

        with self.disturbed(is_alone=False):
            clerk.interfere = interfere
            try:
                yield
            finally:
                # What it caused is not to hide it.
                if errors:
                    raise errors[0]
