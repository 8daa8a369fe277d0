"""A walk that breaks off and is gone on with: nothing is lost, nothing done anew."""

import random
from collections import Counter
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clerksync.bulk.windows import Windows
from tests.unit.bulk.windows.simulation import (
    PAGE,
    SEEDS,
    TIMES,
    Listing,
    Walk,
    assert_is_partition,
)

END = 10**12 + 1
# Turns of each run before it breaks off; the last one goes on to its end.
RUNS = st.lists(st.integers(0, 40), max_size=5)


def walk_in_runs(
    listing: Listing, runs: list[int], chance: random.Random, *, lossy: bool
) -> list[Walk]:
    """Several runs, each of which goes on from the checkpoint of the one before.

    A `lossy` run breaks off with pages in memory, as at Ctrl-C; others write them.
    """
    windows, walks = Windows.until(END), []
    for turns in [*runs, None]:
        walk = Walk(windows, listing, workers=chance.randint(1, 8))
        walks.append(walk)
        for _ in count() if turns is None else range(turns):
            if not walk.turn(chance):
                break
            walk.write(chance.choice([0, 0, 1, 3]))
        if turns is None or not lossy:
            walk.write()
        windows = Windows.from_json(walk.checkpoint())
        assert_is_partition(windows, END)
    return walks


@given(times=TIMES, runs=RUNS, inclusive=st.booleans(), lossy=st.booleans(), seed=SEEDS)
def test_everybody_is_written_once_however_often_the_walk_breaks_off(
    *, times: list[int], runs: list[int], inclusive: bool, lossy: bool, seed: int
) -> None:
    """What was written is not asked for again; what was not, is."""
    listing = Listing(times, inclusive=inclusive)
    walks = walk_in_runs(listing, runs, random.Random(seed), lossy=lossy)
    written = sum((walk.written for walk in walks), Counter[str]())
    assert written == Counter(listing.before(END))
    last = walks[-1].windows
    assert all(window.done for window in last)
    assert all(json.get("done") for json in last.as_json())


@given(times=TIMES, turns=st.integers(0, 60), seed=SEEDS)
def test_a_checkpoint_is_what_it_was_read_from(
    times: list[int], turns: int, seed: int
) -> None:
    """A run that gets nothing done leaves the next one what it found."""
    chance = random.Random(seed)
    walk = Walk(Windows.until(END), Listing(times, inclusive=False), workers=8)
    for _ in range(turns):
        walk.turn(chance)
        walk.write(chance.choice([0, 1]))
    checkpoint = walk.checkpoint()
    assert Windows.from_json(checkpoint).as_json() == checkpoint


@given(times=TIMES, turns=st.integers(0, 60), seed=SEEDS)
def test_only_what_has_been_written_is_in_a_checkpoint(
    times: list[int], turns: int, seed: int
) -> None:
    """Pages in memory are lost with the process: the next run asks for them."""
    chance = random.Random(seed)
    walk = Walk(Windows.until(END), Listing(times, inclusive=False), workers=8)
    for _ in range(turns):
        walk.turn(chance)
    checkpoint = walk.checkpoint()
    assert all(set(window) == {"start", "end"} for window in checkpoint)


def delete_some(listing: Listing, walk: Walk, chance: random.Random) -> None:
    """Now and then somebody, and often all users whom a worker could go on from."""
    windows = [worker.window for worker in walk.workers if worker.window]
    if windows and chance.random() < 0.2:
        cursors = chance.choice(windows).cursors
        listing.gone |= set(cursors[-chance.randint(1, 3) :])
        listing.gone |= {user_id for _, user_id in chance.sample(listing.users, 1)}


@given(
    times=TIMES.filter(bool),
    runs=RUNS,
    inclusive=st.booleans(),
    lossy=st.booleans(),
    seed=SEEDS,
)
def test_who_stays_is_seen_whoever_is_deleted_meanwhile(
    *, times: list[int], runs: list[int], inclusive: bool, lossy: bool, seed: int
) -> None:
    """Cursors too: the walk goes on from one before, or gives up and is resumed."""
    listing, chance = Listing(times, inclusive=inclusive), random.Random(seed)
    windows, written = Windows.until(END), Counter[str]()
    while not all(window.done for window in windows):
        walk = Walk(windows, listing, workers=4)
        turns = runs.pop() if runs else None
        for _ in count() if turns is None else range(turns):
            if not walk.turn(chance):
                break
            delete_some(listing, walk, chance)
            assert_is_partition(windows, END)
            walk.write(chance.choice([0, 0, 1]))
        if turns is None or not lossy:
            walk.write()
        written += walk.written
        windows = Windows.from_json(walk.checkpoint())
    assert listing.before(END) <= written.keys()


def test_a_walk_that_lost_its_place_is_gone_on_with_from_what_was_written() -> None:
    """Ctrl-C after a restart without a cursor: pages before the restart were lost."""
    listing = Listing(list(range(12)), inclusive=False)
    walk, chance = Walk(Windows.until(END), listing, workers=1), random.Random()
    while walk.seen.total() < 8:
        walk.turn(chance)
    walk.write(1)
    listing.gone = {"user_4", "user_6", "user_7"}
    while walk.seen.total() < 12:
        walk.turn(chance)
    resumed = Walk(Windows.from_json(walk.checkpoint()), listing, workers=1)
    while resumed.turn(chance):
        pass
    assert resumed.seen == Counter(f"user_{n}" for n in (5, 8, 9, 10, 11))


@pytest.mark.parametrize("seed", range(5))
def test_a_crowd_in_one_millisecond_is_gone_on_with_in_its_middle(seed: int) -> None:
    """The cursor tells how far, where the time cannot."""
    listing, chance = Listing([77] * 50 * PAGE, inclusive=True), random.Random(seed)
    first, second = walk_in_runs(listing, [100], chance, lossy=False)
    assert 0 < first.written.total() < 50 * PAGE
    assert second.written == Counter(listing.before(END)) - first.written
