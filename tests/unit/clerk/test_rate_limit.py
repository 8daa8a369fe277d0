"""Clerk's rate limit, on a clock that only the tests move."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerksync.clerk.rate_limit import RateLimiter, limit_of

WINDOW = 10.0
# Multiples of it are exact, so that a moment can be met to the point.
GRAIN = 1 / 1024
GAPS = st.sampled_from([0.0, 0.0, GRAIN, 0.25, 1.0, 4.0, 10 - GRAIN, 10.0, 11.0])


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0


@pytest.fixture(scope="module")
def clock() -> Iterator[Clock]:
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        time = SimpleNamespace(monotonic=lambda: clock.now)
        patch.setattr("clerksync.clerk.rate_limit.time", time)
        yield clock


@given(limit=st.integers(1, 7), gaps=st.lists(GAPS, max_size=60))
def test_no_more_than_the_limit_go_in_any_ten_seconds(
    clock: Clock, limit: int, gaps: list[float]
) -> None:
    """And nobody is kept waiting who would not be one too many."""
    limiter, sent = RateLimiter(limit), list[float]()
    for gap in gaps:
        clock.now += gap
        recent = [at for at in sent if at > clock.now - WINDOW]
        wait = limiter.seconds_to_wait()
        assert (wait == 0) is (len(recent) < limit)
        if not wait:
            sent.append(clock.now)
    for first, too_many in zip(sent, sent[limit:], strict=False):
        assert too_many - first >= WINDOW


@given(limit=st.integers(1, 5), asks=st.lists(GAPS, min_size=1, max_size=40))
def test_who_waits_as_long_as_told_may_go(
    clock: Clock, limit: int, asks: list[float]
) -> None:
    """Where nobody else has come first, one wait is enough."""
    limiter = RateLimiter(limit)
    for gap in asks:
        clock.now += gap
        wait = limiter.seconds_to_wait()
        assert 0 <= wait <= WINDOW
        if wait:
            clock.now += wait
            assert limiter.seconds_to_wait() == 0


def test_a_pause_stops_everybody(clock: Clock) -> None:
    """However few requests there were; afterwards all goes on."""
    limiter = RateLimiter(100)
    assert limiter.seconds_to_wait() == 0
    limiter.pause(4)
    assert [limiter.seconds_to_wait() for _ in range(3)] == [4, 4, 4]
    clock.now += 3
    assert limiter.seconds_to_wait() == 1
    clock.now += 1
    assert limiter.seconds_to_wait() == 0


@given(pauses=st.lists(st.tuples(GAPS, st.integers(0, 30)), min_size=1, max_size=8))
def test_of_several_pauses_the_longest_counts(
    clock: Clock, pauses: list[tuple[float, int]]
) -> None:
    """A later answer of Clerk's that asks for less shortens nothing."""
    limiter, until = RateLimiter(), 0.0
    for gap, seconds in pauses:
        clock.now += gap
        limiter.pause(seconds)
        until = max(until, clock.now + seconds)
        assert limiter.seconds_to_wait() == max(0, until - clock.now)


def test_of_pause_and_limit_the_longer_wait_counts(clock: Clock) -> None:
    """Both have to be over."""
    limiter = RateLimiter(1)
    assert limiter.seconds_to_wait() == 0
    clock.now += 2
    limiter.pause(3)
    assert limiter.seconds_to_wait() == 8
    limiter.pause(9)
    assert limiter.seconds_to_wait() == 9


def test_until_a_limit_is_set_any_number_may_go(clock: Clock) -> None:
    """What went before counts from then on: Clerk has counted it as well."""
    limiter = RateLimiter()
    assert {limiter.seconds_to_wait() for _ in range(2_000)} == {0}
    limiter.set_limit(5)
    assert limiter.seconds_to_wait() == WINDOW
    clock.now += WINDOW
    assert [limiter.seconds_to_wait() for _ in range(6)] == [0] * 5 + [WINDOW]


def test_a_tenth_of_what_clerk_allows_is_left_to_the_application() -> None:
    """1000 requests in ten seconds in production, 100 in development."""
    assert limit_of(is_production=True) == 900
    assert limit_of(is_production=False) == 90
