"""The client as a single run uses it: its count, its end, and what all runs share."""

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from clerksync.clerk.api import ClerkApi
from clerksync.clerk.retry import BULK
from clerksync.errors import OutOfTimeError
from clerksync.settings.clerk_client import clerk_client
from clerksync.settings.environment import Settings
from local.stub_clerk.stub import StubClerk
from tests.clock import RunClock
from tests.terminal import eventually


@pytest.fixture
def patient(stub: StubClerk) -> Iterator[ClerkApi]:
    """A client that really waits."""
    assert stub.requests == 0
    clerk = clerk_client(Settings(), BULK)
    yield clerk
    clerk._http.clear()


def test_each_run_counts_its_own_requests(patient: ClerkApi, stub: StubClerk) -> None:
    """In Lambda one client serves many runs."""
    first, second = patient.for_run(), patient.for_run()
    first.instance()
    first.instance()
    second.instance()
    assert (first.requests, second.requests, stub.requests) == (2, 1, 3)


def test_all_runs_keep_one_limit(
    patient: ClerkApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one has sent, or been told to wait, counts for the next."""
    stopped = SimpleNamespace(monotonic=lambda: 1000.0)
    monkeypatch.setattr("clerksync.clerk.rate_limit.time", stopped)
    patient.rate_limiter.set_limit(1)
    patient.for_run().instance()
    assert patient.for_run().rate_limiter.seconds_to_wait() == 10
    patient.rate_limiter.pause(60)
    assert patient.for_run().rate_limiter.seconds_to_wait() == 60


def test_after_its_deadline_a_run_asks_no_more(
    patient: ClerkApi, stub: StubClerk
) -> None:
    """Another run of the same client does."""
    with pytest.raises(OutOfTimeError):
        patient.for_run(time.monotonic()).instance()
    assert stub.requests == 0
    assert patient.for_run().instance().id == stub.instance_id


class Waits(threading.Event):
    """Notes for how long a run would wait, and lets that time pass at once."""

    def __init__(self, clock: RunClock) -> None:
        super().__init__()
        self._clock = clock
        self.seconds: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout)
        self._clock.put_forward(timeout or 0.0)
        return super().wait(0)


def test_no_wait_is_longer_than_the_time_of_the_run(
    patient: ClerkApi, stub: StubClerk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clerk wants to be left alone for a minute, and the run has no such time."""
    clock = RunClock(monkeypatch, stopped=True)
    run = patient.for_run(clock.now() + 7)
    run._stopped = waits = Waits(clock)
    stub.fail_next(status=429, retry_after=60)
    with pytest.raises(OutOfTimeError):
        run.instance()
    assert waits.seconds == [pytest.approx(7)]
    assert stub.requests == 1


def test_stopping_a_run_wakes_all_who_wait(patient: ClerkApi, stub: StubClerk) -> None:
    """They ask no more, and other runs of the client are not stopped."""
    patient.rate_limiter.pause(250)
    run, ends = patient.for_run(), list[type[BaseException]]()

    def ask() -> None:
        try:
            run.instance()
        except OutOfTimeError as error:
            ends.append(type(error))

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    waiting = vars(vars(run._stopped)["_cond"])["_waiters"]
    assert eventually(lambda: len(waiting) == 3)
    assert ends == []
    run.stop()
    for thread in threads:
        thread.join(60)
    assert ends == [OutOfTimeError] * 3
    assert stub.requests == 0
    patient.rate_limiter._closed_until = 0.0
    assert patient.for_run().instance().id == stub.instance_id
