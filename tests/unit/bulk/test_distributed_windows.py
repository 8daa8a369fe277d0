"""Windows that are planned ahead by counting: all of the time, about equally many."""

import random
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerksync.bulk.distributed_windows import (
    WINDOWS_AT_MOST,
    PlannedWindow,
    plan_windows,
)

SIZE = 10
END = 1_800_000_000_000
# Years of sign-ups, and imports of many within a moment.
TIMES = st.lists(
    st.one_of(
        st.integers(END - 10**11, END - 1).map(lambda at: [at]),
        st.tuples(st.integers(1, END - 60), st.integers(1, 40)).map(
            lambda many: [many[0]] * many[1]
        ),
        st.tuples(st.integers(1, END - 60), st.integers(1, 40)).map(
            lambda many: list(range(many[0], many[0] + many[1]))
        ),
    ),
    max_size=60,
).map(lambda groups: sorted(chain.from_iterable(groups)))


@pytest.fixture(scope="module", autouse=True)
def small_windows() -> Iterator[None]:
    """For a whole module: Hypothesis runs a test many times within one fixture."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("clerksync.bulk.distributed_windows._USERS_AT_LEAST", SIZE)
        yield


def planned(count: Callable[[int], int], total: int) -> list[PlannedWindow]:
    with ThreadPoolExecutor(1) as executor:
        return plan_windows(count, end=END, total=total, executor=executor)


def assert_is_whole(windows: list[PlannedWindow]) -> None:
    """Each begins where the one before ends, from the beginning until the end."""
    assert windows[0].start is None
    assert windows[-1].end == END
    assert all(one.end == after.start for one, after in pairwise(windows))
    assert all(w.start is None or w.start < w.end for w in windows)
    assert len(windows) <= WINDOWS_AT_MOST


@given(times=TIMES, inclusive=st.booleans())
def test_everybody_is_in_one_window_and_none_is_too_large(
    *, times: list[int], inclusive: bool
) -> None:
    """But for more users of one moment than a window should have; whichever way Clerk
    takes a bound."""
    before = bisect_right if inclusive else bisect_left
    windows = planned(lambda at: before(times, at), len(times))
    assert_is_whole(windows)
    assert sum(window.users for window in windows) == len(times)
    size = max(SIZE, -(-2 * len(times) // (WINDOWS_AT_MOST - 1)))
    for window in windows:
        start = window.start or 0
        assert window.users <= size or window.end - start == 1
    if len(windows) > 1:
        pairs = pairwise(window.users for window in windows)
        assert all(one + after > size for one, after in pairs), "too many windows"


@given(seed=st.integers(), total=st.integers(0, 10**6))
def test_counts_that_make_no_sense_leave_nobody_out(seed: int, total: int) -> None:
    """Users come and go while they are counted; a plan ends, and is not too large."""
    chance, asked = random.Random(seed), 0

    def count(_: int) -> int:
        nonlocal asked
        asked += 1
        return chance.randint(0, total)

    assert_is_whole(planned(count, total))
    assert asked < 3_000


def test_a_plan_asks_about_twice_for_each_window() -> None:
    """Steady growth over years, as of a usual instance."""
    times = [END - 10**11 + at * 10**7 for at in range(10_000)]
    asked: list[int] = []

    def count(at: int) -> int:
        asked.append(at)
        return bisect_left(times, at)

    windows = planned(count, len(times))
    assert 100 <= len(windows) <= WINDOWS_AT_MOST
    assert len(asked) < 2 * len(windows) + 20


def test_an_instance_without_users_is_one_window() -> None:
    """Its walk finds whoever comes meanwhile."""
    assert planned(lambda _: 0, 0) == [PlannedWindow(None, END, 0)]
