"""Windows while they are walked and cut: nobody is left out, nobody comes twice."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerksync.bulk.windows import Windows
from clerksync.clerk.api import PAGE_LIMIT
from clerksync.clerk.user import ClerkUser, Page
from tests.unit.bulk.windows.simulation import (
    PAGE,
    SEEDS,
    TIMES,
    Listing,
    Walk,
    assert_is_partition,
    parts,
)


@given(
    times=TIMES,
    end=st.integers(0, 10**12 + 1),
    workers=st.integers(1, 9),
    inclusive=st.booleans(),
    seed=SEEDS,
)
def test_everybody_is_in_one_window_and_one_page_whoever_comes_first(
    *, times: list[int], end: int, workers: int, inclusive: bool, seed: int
) -> None:
    """At every moment the windows are all of the time; users of the end are out."""
    listing, chance = Listing(times, inclusive=inclusive), random.Random(seed)
    walk = Walk(Windows.until(end), listing, workers=workers)
    assert_is_partition(walk.windows, end)
    while walk.turn(chance):
        assert_is_partition(walk.windows, end)
    assert walk.seen == Counter(listing.before(end))
    assert all(window.walked for window in walk.windows)


@pytest.mark.parametrize("inclusive", [True, False], ids=["inclusive", "exclusive"])
def test_a_window_that_is_cut_while_its_page_is_on_the_way_gives_away_the_rest(
    *, inclusive: bool
) -> None:
    """What the page has beyond the cut, and at its very moment, is the other one's."""
    listing = Listing([1, 2, 3, 4, 10, 17, 18, 22, 30], inclusive=inclusive)
    walk = Walk(Windows.until(31), listing, workers=1)
    only = walk.windows.take()
    assert only is not None
    first = listing.next_page(only)
    assert walk.windows.advance(only, first) == first
    asked = listing.next_page(only)
    later = walk.windows.take()
    assert later is not None
    assert parts(walk.windows) == [(float("-inf"), 18), (18, 31)]
    own = walk.windows.advance(only, asked)
    assert [user.created_at for user in own.users] == [10, 17]
    assert only.walked
    rest = walk.windows.advance(later, listing.next_page(later))
    assert [user.created_at for user in rest.users] == [18, 22, 30]


@pytest.mark.parametrize("inclusive", [True, False], ids=["inclusive", "exclusive"])
@pytest.mark.parametrize("workers", [1, 8])
def test_a_crowd_in_one_millisecond_is_walked_by_one_and_not_cut(
    *, inclusive: bool, workers: int
) -> None:
    """Three thousand users, with the sparse rest of an instance around them."""
    times = [*range(0, 10**9, 10**7), *[5 * 10**8 + 7] * 3_000]
    listing = Listing(times, inclusive=inclusive)
    walk, chance = Walk(Windows.until(10**9), listing, workers=workers), random.Random()
    while walk.turn(chance):
        pass
    assert walk.seen == Counter(listing.before(10**9))
    assert_is_partition(walk.windows, 10**9)


@given(times=TIMES, seed=SEEDS)
def test_one_worker_alone_asks_for_no_page_more_than_it_must(
    times: list[int], seed: int
) -> None:
    """There is nobody to cut a window for."""
    listing = Listing(times, inclusive=False)
    walk, chance = Walk(Windows.until(10**13), listing, workers=1), random.Random(seed)
    while walk.turn(chance):
        pass
    assert listing.asked == len(times) // PAGE + 1
    assert len(list(walk.windows)) == 1


def test_an_unreadable_user_beyond_the_cut_is_not_in_the_page_too() -> None:
    """It would be counted as failed twice."""
    listing = Listing([1, 2, 3, 4, 10, 11, 12, 20], inclusive=False, unreadable={7})
    walk = Walk(Windows.until(31), listing, workers=1)
    only = walk.windows.take()
    assert only is not None
    first = listing.next_page(only)
    walk.windows.advance(only, first)
    asked = listing.next_page(only)
    later = walk.windows.take()
    assert later is not None
    assert later.start == 18
    assert walk.windows.advance(only, asked).unreadable == []


@pytest.mark.parametrize("place", range(PAGE + 1))
def test_a_user_without_a_time_of_creation_belongs_to_the_page_it_is_in(
    place: int,
) -> None:
    """Wherever Clerk lists it, and whatever was cut off meanwhile."""
    listing = Listing([1, 2, 3, 4, 10, 17, 18, 22, 30], inclusive=False)
    walk = Walk(Windows.until(31), listing, workers=1)
    only = walk.windows.take()
    assert only is not None
    walk.windows.advance(only, listing.next_page(only))
    asked = listing.next_page(only)
    later = walk.windows.take()
    assert later is not None
    odd = ClerkUser.model_construct(id="user_odd", created_at=None)
    asked.users.insert(place, odd)
    asked.ids.insert(place, odd.id)
    own = walk.windows.advance(only, asked)
    assert odd in own.users
    assert odd.id in own.ids
    assert only.walked


def test_a_page_of_users_without_times_of_creation_does_not_stop_the_walk() -> None:
    """The cursor goes on; a later run resumes at the last time that was seen."""
    windows = Windows.until(31)
    window = windows.take()
    assert window is not None
    users = [
        ClerkUser.model_construct(id=f"user_{n}", created_at=None)
        for n in range(PAGE_LIMIT)
    ]
    page = Page(users, [], [user.id for user in users])
    assert windows.advance(window, page) == page
    assert (window.walked, window.cursors[-1]) == (False, users[-1].id)
    assert window.place is None
