"""One user's bucket: what goes out, what comes back, and what a tier changes."""

import math

import psycopg
import pytest
from psycopg import errors

from clerksync.postgres.database import Database
from clerksync.write.rate_limits import Decision, consume
from tests.doors import untouched
from tests.integration.write.rate_limits.buckets import Buckets
from tests.tables import rows

# So slow that what comes back while a test runs is not seen.
SLOW = 1 / 1024


def test_an_untouched_bucket_is_full_and_then_empty(
    database: Database, buckets: Buckets
) -> None:
    """As many as the capacity; and without any coming back, waiting does not help."""
    somebody = buckets.user(tier="TEN")
    decisions = [consume(database, somebody) for _ in range(12)]
    assert decisions[:10] == [Decision(True, 9 - n, 0) for n in range(10)]
    assert decisions[10:] == [Decision(False, 0, None)] * 2


def test_tokens_come_back_with_time_and_not_beyond_the_capacity(
    database: Database, buckets: Buckets
) -> None:
    """By the database's clock, and at once when asked for."""
    buckets.tier("SLOW", 10, SLOW)
    somebody = buckets.user(tier="SLOW")
    assert consume(database, somebody, 10).remaining == pytest.approx(0, abs=0.5)
    assert not consume(database, somebody).allowed
    buckets.wait(somebody, 3 * 1024)
    assert consume(database, somebody).remaining == pytest.approx(2, abs=0.5)
    buckets.wait(somebody, 1_000_000)
    assert consume(database, somebody).remaining == 9


def test_a_refusal_says_when_to_come_again(
    database: Database, buckets: Buckets
) -> None:
    """After so many milliseconds, and not much sooner, it is allowed."""
    buckets.tier("SLOW", 10, SLOW)
    somebody = buckets.user(tier="SLOW")
    consume(database, somebody, 10)
    refused = consume(database, somebody, 4)
    assert refused.remaining == pytest.approx(0, abs=0.5)
    assert refused.retry_after_ms is not None
    assert refused.retry_after_ms / 1000 == pytest.approx(4 * 1024, abs=512)
    assert refused.retry_after_seconds == math.ceil(refused.retry_after_ms / 1000)
    buckets.wait(somebody, refused.retry_after_ms / 1000 - 512)
    assert not consume(database, somebody, 4).allowed
    buckets.wait(somebody, 512)
    assert consume(database, somebody, 4).allowed


def test_a_refusal_writes_and_locks_nothing(
    database: Database, buckets: Buckets, connection: psycopg.Connection
) -> None:
    """Who is refused a thousand times a second leaves no dead rows behind."""
    somebody = buckets.user(tier="TEN")
    consume(database, somebody, 10)
    with untouched(connection):
        assert not consume(database, somebody).allowed


def test_a_cost_may_be_part_of_a_token(database: Database, buckets: Buckets) -> None:
    """And what is left is told as exactly."""
    somebody = buckets.user(tier="TEN")
    assert consume(database, somebody, 0.25) == Decision(True, 9.75, 0)
    assert consume(database, somebody, 9.75) == Decision(True, 0, 0)


@pytest.mark.parametrize("cost", [10.5, 1e300, math.inf])
def test_more_than_the_capacity_is_never_allowed(
    database: Database, buckets: Buckets, cost: float
) -> None:
    """However long one waits: there is no time to come again."""
    buckets.tier("FAST", 10, 1000)
    somebody = buckets.user(tier="FAST")
    assert consume(database, somebody, cost) == Decision(False, 10, None)
    assert consume(database, somebody, 10).allowed


@pytest.mark.parametrize("cost", [0, -1, math.nan, -math.inf])
def test_a_cost_that_is_none_is_an_error(
    database: Database, buckets: Buckets, connection: psycopg.Connection, cost: float
) -> None:
    """From Python before it is sent, and from SQL. It must not fill a bucket up."""
    somebody = buckets.user(tier="TEN")
    with untouched(connection):
        with pytest.raises(ValueError, match="cost must be a number above 0"):
            consume(database, somebody, cost)
        with pytest.raises(errors.InvalidParameterValue, match="cost must be a number"):
            buckets.ask("SELECT consume_rate_limit(%s, %s)", somebody, cost)
        with pytest.raises(errors.InvalidParameterValue, match="cost must be a number"):
            buckets.ask("SELECT consume_rate_limit(%s, NULL)", somebody)


def test_a_change_of_tier_counts_from_the_next_call_on(
    database: Database, buckets: Buckets
) -> None:
    """Up: what was used stays used. Down: nobody has more than the new capacity."""
    buckets.tier("HUNDRED", 100, 0)
    used, untouched_one = buckets.user(1, tier="TEN"), buckets.user(2, tier="TEN")
    assert consume(database, used, 8).remaining == 2
    for somebody in (used, untouched_one):
        buckets.change(somebody, "HUNDRED")
    assert consume(database, used).remaining == 1
    assert consume(database, untouched_one).remaining == 99
    buckets.change(untouched_one, "TEN")
    assert consume(database, untouched_one).remaining == 9


def test_numbers_that_the_application_changes_count_at_once(
    database: Database, buckets: Buckets
) -> None:
    """The table of tiers is its own. A capacity of 0 allows nothing."""
    somebody = buckets.user(tier="TEN")
    assert consume(database, somebody).remaining == 9
    buckets.tier("TEN", 5, 0)
    assert consume(database, somebody).remaining == 4
    buckets.tier("TEN", 0, 1)
    assert consume(database, somebody) == Decision(False, 0, None)


@pytest.mark.parametrize(
    ("capacity", "refill"),
    [(-1, 1), (math.nan, 1), (math.inf, 1), (1, -1), (1, math.nan), (1, 1e-300)],
)
def test_numbers_that_make_no_bucket_are_refused(
    buckets: Buckets, capacity: float, refill: float
) -> None:
    """When they are written, not when somebody is waiting."""
    with pytest.raises(errors.CheckViolation):
        buckets.tier("ODD", capacity, refill)


def test_extreme_numbers_are_still_answered(
    database: Database, buckets: Buckets
) -> None:
    """The fullest and slowest bucket there can be, and one that was never filled."""
    buckets.tier("HUGE", 1e9, 1e-9)
    somebody = buckets.user(tier="HUGE")
    assert consume(database, somebody, 1e9).allowed
    refused = consume(database, somebody, 1e9)
    assert not refused.allowed
    assert refused.retry_after_ms == 10**15
    buckets.tier("HUGE", 1e9, 1e9)
    buckets.wait(somebody, 1e9)
    assert consume(database, somebody, 1e9).allowed


def test_a_clock_that_was_set_back_neither_fills_nor_empties(
    database: Database, buckets: Buckets, connection: psycopg.Connection
) -> None:
    """A bucket from the future stays as it is until its time has come."""
    buckets.tier("FAST", 10, 1000)
    somebody = buckets.user(tier="FAST")
    buckets.leave(somebody, 5)
    buckets.wait(somebody, -3600)
    before = rows(connection, "rate_limits")[somebody]["refilled_at"]
    assert consume(database, somebody).remaining == 4
    assert rows(connection, "rate_limits")[somebody]["refilled_at"] == before


def test_a_debt_that_the_application_wrote_is_paid_off_first(
    database: Database, buckets: Buckets
) -> None:
    """What is told is never below 0."""
    buckets.tier("SLOW", 10, SLOW)
    somebody = buckets.user(tier="SLOW")
    buckets.leave(somebody, -5)
    refused = consume(database, somebody)
    assert (refused.allowed, refused.remaining) == (False, 0)
    assert refused.retry_after_ms is not None
    assert refused.retry_after_ms / 1000 == pytest.approx(6 * 1024, abs=512)
