"""Workers as threads: who has nothing to do waits, and nobody waits for ever."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from clerksync.bulk.windows import Window, Windows
from tests.terminal import eventually
from tests.unit.bulk.windows.simulation import Listing, assert_is_partition

_PATIENCE_SECONDS = 60.0


@contextmanager
def threads(number: int, work: Callable[[], None]) -> Iterator[None]:
    """So many at work; all must have ended soon after the block."""
    started = [threading.Thread(target=work, daemon=True) for _ in range(number)]
    for thread in started:
        thread.start()
    yield
    for thread in started:
        thread.join(_PATIENCE_SECONDS)
    assert not [thread for thread in started if thread.is_alive()]


def asleep(windows: Windows) -> int:
    """How many threads wait until something changes."""
    return len(vars(windows._changed)["_waiters"])


def walk(windows: Windows, window: Window, listing: Listing) -> Iterator[list[str]]:
    while not window.walked:
        yield windows.advance(window, listing.next_page(window)).ids


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_everybody_ends_when_everything_is_walked(workers: int) -> None:
    """And each user was seen by one thread, once."""
    listing = Listing([*range(300), *range(1_000, 9_000, 80)], inclusive=True)
    windows, seen, lock = Windows.until(9_000), Counter[str](), threading.Lock()

    def work() -> None:
        while (window := windows.take()) is not None:
            for ids in walk(windows, window, listing):
                with lock:
                    seen.update(ids)

    with threads(workers, work):
        pass
    assert seen == Counter(listing.before(9_000))
    assert_is_partition(windows, 9_000)
    assert windows.take() is None


def test_who_waits_is_woken_by_the_first_page() -> None:
    """Before it, nobody knows where the users are, and there is nothing to halve."""
    listing, windows = Listing(list(range(100)), inclusive=False), Windows.until(100)
    taken: list[Window | None] = []
    first = windows.take()
    assert first is not None
    with threads(1, lambda: taken.append(windows.take())):
        assert eventually(lambda: asleep(windows) == 1)
        windows.advance(first, listing.next_page(first))
    (later,) = taken
    assert later is not None
    assert later.start == first.end


def test_who_waits_is_let_go_when_the_last_window_is_walked() -> None:
    """There is nothing left that could be halved."""
    listing, windows = Listing([1, 2, 3], inclusive=False), Windows.until(100)
    taken: list[Window | None] = []
    only = windows.take()
    assert only is not None
    with threads(3, lambda: taken.append(windows.take())):
        assert eventually(lambda: asleep(windows) == 3)
        windows.advance(only, listing.next_page(only))
    assert taken == [None] * 3


def test_stopping_frees_everybody_who_waits() -> None:
    """With a window still open, as after an error of the thread that walks it."""
    windows = Windows.until(100)
    assert windows.take() is not None
    taken: list[Window | None] = []
    with threads(3, lambda: taken.append(windows.take())):
        assert eventually(lambda: asleep(windows) == 3)
        assert taken == []
        windows.stop()
    assert taken == [None] * 3
    assert windows.take() is None


def test_a_stopped_walk_hands_out_nothing_though_there_is_something() -> None:
    """Also of what a checkpoint left to do."""
    windows = Windows.from_json([{"start": None, "end": 5}, {"start": 5, "end": 9}])
    assert windows.take() is not None
    windows.stop()
    assert windows.take() is None
    assert [window.walked for window in windows] == [False, False]


def test_a_walk_that_was_done_when_it_broke_off_has_nothing_to_hand_out() -> None:
    """Its run goes straight on to the sweep."""
    windows = Windows.from_json([{"start": None, "end": 5, "done": True}])
    assert windows.take() is None
