"""The bucket against a model of ten lines, by whatever happens to it."""

from dataclasses import dataclass
from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clerksync.postgres.database import Database
from clerksync.write.rate_limits import consume
from tests.integration.write.rate_limits.buckets import Buckets

# All is a whole multiple of these, so that the model is exact, and so large that what
# comes back while a test runs, less than one token, does not change an answer.
_UNIT = 1024
_PERIOD_SECONDS = 2**20
_TIERS = {"NONE": (3, 0), "SLOW": (5, 1), "QUICK": (12, 4)}

_numbers = count(1)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(1, 14)),
        st.tuples(st.just("wait"), st.integers(0, 6)),
        st.tuples(st.just("tier"), st.sampled_from(sorted(_TIERS))),
    ),
    min_size=1,
    max_size=25,
)


@dataclass
class Model:
    """Tokens in units, time in periods. What was not yet given back is not yet there:
    it comes by the tier of the next call."""

    tier: str = "SLOW"
    tokens: int | None = None
    idle: int = 0

    def take(self, cost: int) -> tuple[bool, int, int | None]:
        """Whether it is allowed, what is left, and after how many periods it is."""
        capacity, refill = _TIERS[self.tier]
        left = capacity
        if self.tokens is not None:
            left = min(capacity, self.tokens + self.idle * refill)
        if left >= cost:
            self.tokens, self.idle = left - cost, 0
            return True, left - cost, 0
        if cost > capacity or not refill:
            return False, left, None
        return False, left, -(-(cost - left) // refill)


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=_STEPS)
def test_whatever_happens_the_bucket_does_as_the_model(
    database: Database, buckets: Buckets, steps: list[tuple[str, int | str]]
) -> None:
    """Never below 0, never above the capacity, and as much comes back as should."""
    for name, (capacity, refill) in _TIERS.items():
        buckets.tier(name, capacity * _UNIT, refill * _UNIT / _PERIOD_SECONDS)
    model = Model()
    somebody = buckets.user(next(_numbers), tier=model.tier)
    for step, value in steps:
        if step == "tier":
            model.tier = str(value)
            buckets.change(somebody, model.tier)
        elif step == "wait":
            model.idle += int(value)
            buckets.wait(somebody, int(value) * _PERIOD_SECONDS)
        else:
            allowed, left, periods = model.take(int(value))
            decision = consume(database, somebody, int(value) * _UNIT)
            assert decision.allowed == allowed
            assert left <= decision.remaining / _UNIT < left + 0.5
            if periods is None:
                assert decision.retry_after_ms is None
            else:
                assert decision.retry_after_ms is not None
                waited = decision.retry_after_ms / 1000 / _PERIOD_SECONDS
                assert periods - 1.001 < waited <= periods + 0.001
