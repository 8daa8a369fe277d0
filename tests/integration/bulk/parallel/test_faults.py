"""A Clerk that misbehaves all the time, and its rate limit."""

import random
import threading
import time
from collections import Counter
from types import SimpleNamespace

import psycopg
import pytest

from clerksync.clerk.api import ClerkApi
from clerksync.clerk.rate_limit import RateLimiter
from clerksync.clerk.retry import BULK
from local.stub_clerk.faults import Fault, StubRequest
from local.stub_clerk.stub import StubClerk
from tests.integration.bulk.bulk import Bulk, miss_two
from tests.integration.bulk.parallel.conftest import USERS
from tests.integration.bulk.parallel.walks import (
    fetching_threads,
    from_page,
    is_page,
)
from tests.people import shown
from tests.tables import rows
from tests.terminal import eventually

FAULTS = [
    Fault(status=500),
    Fault(status=502),
    Fault(status=503, headers={"Retry-After": "1"}),
    Fault(breaks="connection"),
    Fault(breaks="body"),
    Fault(breaks="json"),
    Fault(delay_ms=40),
    Fault(delay_ms=20, breaks="connection"),
    Fault(status=429, headers={"Retry-After": "0"}),
]


class Misfortune:
    """One try in three goes wrong: the same for the same seed, whoever comes first.

    A request is asked again five times at most, and comes through the fifth time.
    """

    def __init__(self, seed: int) -> None:
        self.hits = Counter[int]()
        self._seed = seed
        self._tries = Counter[str]()
        self._lock = threading.Lock()

    def __call__(self, request: StubRequest) -> Fault | None:
        asked = f"{request.path}{sorted(request.query.items())}"
        with self._lock:
            self._tries[asked] += 1
            chance = random.Random(f"{self._seed} {self._tries[asked]} {asked}")
            if self._tries[asked] > 4 or chance.random() > 1 / 3:
                return None
            number = chance.randrange(len(FAULTS))
            self.hits[number] += 1
        return FAULTS[number]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_run_is_completed_though_one_answer_in_three_fails(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, seed: int
) -> None:
    """All that can go wrong, in all phases; only who is gone is deleted."""
    bulk()
    _, deleted = miss_two(stub)
    new = stub.create_user(email="new@example.com", created_at=1_700_000_000_000)["id"]
    stub.interfere = misfortune = Misfortune(seed)
    report = bulk()
    assert (report.status, report.fetched) == ("completed", USERS)
    assert (report.created, report.updated, report.deleted) == (1, 1, 1)
    assert (new in rows(connection), deleted in rows(connection)) == (True, False)
    assert rows(connection).keys() == shown(stub)
    assert len(misfortune.hits) > len(FAULTS) // 2
    assert eventually(lambda: fetching_threads() == [])


def share_a_clock(monkeypatch: pytest.MonkeyPatch, stub: StubClerk) -> None:
    """Let both rate limits, Clerk's and that of our workers, go by one clock.

    It moves only when a worker waits, and not while a request that was let through is
    on its way: how long that takes is up to the machine.
    """
    now, let_through, lock = 1000.0, 0, threading.RLock()
    seconds_to_wait = RateLimiter.seconds_to_wait

    def ask(limiter: RateLimiter) -> float:
        nonlocal let_through
        with lock:
            wait = seconds_to_wait(limiter)
            let_through += not wait
            return wait

    def sleep(_: ClerkApi, seconds: float) -> None:
        nonlocal now
        until = now + seconds
        with lock:
            assert eventually(lambda: stub.requests == let_through)
            now = max(now, until)

    clock = SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr("clerksync.clerk.rate_limit.time", clock)
    monkeypatch.setattr("local.stub_clerk.faults.time", clock)
    monkeypatch.setattr(RateLimiter, "seconds_to_wait", ask)
    monkeypatch.setattr(ClerkApi, "_sleep", sleep)


def test_workers_that_keep_the_limit_are_never_told_to_wait(
    bulk: Bulk, stub: StubClerk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight of them; the instance takes as many requests as they are allowed."""
    share_a_clock(monkeypatch, stub)
    monkeypatch.setattr("tests.integration.bulk.bulk.PATIENT", BULK)
    monkeypatch.setenv("CLERKSYNC_RATE_LIMIT", "20")
    stub.rate_limit, stub.rate_limit_window_s = 20, 10
    report = bulk()
    # A request is made once more where Clerk refused it.
    stub.rate_limit = None
    assert (report.status, report.fetched) == ("completed", USERS)
    assert report.requests > 60
    asked = Counter(str(request.query) for request in stub.request_log)
    assert max(count for query, count in asked.items() if "limit" in query) == 1


def test_a_429_to_one_worker_stops_all_for_as_long_as_it_says(
    bulk: Bulk,
    stub: StubClerk,
    connection: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only what was on its way still comes; then nobody asks for a second."""
    times: list[float] = []
    lock, paused, pause = threading.Lock(), threading.Event(), RateLimiter.pause
    open_from: list[float] = []

    def note(limiter: RateLimiter, seconds: float) -> None:
        open_from.append(time.monotonic() + seconds)
        pause(limiter, seconds)
        paused.set()

    monkeypatch.setattr(RateLimiter, "pause", note)

    def refuse(_: StubRequest) -> Fault | None:
        with lock:
            times.append(time.monotonic())
            if len(times) == 1:
                return Fault(status=429, headers={"Retry-After": "1"})
        # Until the refusal has arrived, the others cannot know of it.
        paused.wait(60)
        return None

    stub.interfere = from_page(20, refuse)
    report = bulk()
    assert (report.status, report.fetched) == ("completed", USERS)
    on_their_way = [at for at in times[1:] if at < open_from[0]]
    assert len(on_their_way) < 8
    assert len(times) > 8
    assert len(open_from) == 1
    assert rows(connection).keys() == shown(stub)


def test_a_storm_of_429s_is_sat_out(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection
) -> None:
    """Somebody else has used the limit up: whoever asks is refused, ten times over."""
    refused = 0
    lock = threading.Lock()

    def storm(_: StubRequest) -> Fault | None:
        nonlocal refused
        with lock:
            refused += 1
            if refused <= 10:
                return Fault(status=429, headers={"Retry-After": "0"})
        return None

    stub.interfere = from_page(10, storm)
    report = bulk()
    assert (report.status, report.fetched) == ("completed", USERS)
    assert report.requests == stub.requests
    assert rows(connection).keys() == shown(stub)


@pytest.mark.parametrize(
    "fault",
    [Fault(status=500), Fault(breaks="connection"), Fault(breaks="json")],
    ids=["500", "closed", "cut json"],
)
def test_an_outage_ends_all_workers_and_keeps_what_was_written(
    bulk: Bulk, stub: StubClerk, connection: psycopg.Connection, fault: Fault
) -> None:
    """Partial, swept nobody, and the next run goes on from there."""
    bulk()
    orphan = min(shown(stub))
    stub.delete_user(orphan)
    stub.interfere = from_page(30, lambda _: fault)
    broken = bulk()
    assert (broken.status, broken.deleted, broken.out_of_time) == ("partial", 0, False)
    assert 0 < broken.fetched < USERS - 1
    assert eventually(lambda: fetching_threads() == [])
    stub.interfere = None
    report = bulk()
    assert (report.status, report.continues) == ("completed", broken.run_id)
    assert broken.fetched + report.fetched == USERS - 1
    assert report.deleted == 1
    assert rows(connection).keys() == shown(stub)


def test_a_refusal_in_mid_walk_is_not_taken_for_a_lost_cursor(
    bulk: Bulk, stub: StubClerk
) -> None:
    """A key that is revoked: every worker ends at once, none asks again."""
    stub.interfere = from_page(30, lambda _: Fault(status=401))
    report = bulk()
    assert report.status == "partial"
    assert "CLERK_SECRET_KEY" in str(report.reason)
    assert sum(map(is_page, stub.request_log)) <= 30 + 8
