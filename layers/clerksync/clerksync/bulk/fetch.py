"""Pages of Clerk's listing, fetched and decoded by threads while others are written."""

import gc
import math
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Queue
from typing import Final

from clerksync.bulk.listing import next_page
from clerksync.bulk.windows import Place, Window, Windows
from clerksync.clerk.api import GRACE_SECONDS, OUT_OF_TIME, ClerkApi
from clerksync.clerk.user import Page
from clerksync.errors import ClerksyncError, OutOfTimeError
from clerksync.observability import describe, logger
from clerksync.write.rows import Prepared

# Users in a batch. So few that the database soon has work, and so many that planning
# and committing do not count; no more than memory should hold, and no more than a slow
# table takes in a few seconds.
_SMALLEST: Final = 5_000
_LARGEST: Final = 10_000
_QUICK_SECONDS: Final = 0.25
_SLOW_SECONDS: Final = 2.0
# Pages that may wait for the database, for each thread.
_WAITING_PAGES: Final = 2
# For threads whose results nobody reads any more.
_LAST_SECONDS: Final = 1.0
_COLLECT_EVERY: Final = 100_000
# Long enough for the thread that decodes, and so short that the one that writes does
# not wait 5 ms for the interpreter at each of a batch's steps.
_SWITCH_EVERY: Final = 0.0005

Prepare = Callable[[Page], Prepared]


@dataclass(frozen=True, slots=True)
class Fetched:
    """A page, or what of it belongs to its window."""

    size: int
    ids: list[str]
    prepared: Prepared
    unreadable: int
    window: Window | None = None
    place: Place | None = None
    walked: bool = False

    def note_written(self) -> None:
        """It has reached the database: a later run need not fetch it again."""
        if self.window is not None:
            self.window.written = self.place
            self.window.done = self.walked


Batches = Generator[list[Fetched], None, None]
# A worker's page; at its end, what it failed of, or None.
Results = Queue[Fetched | BaseException | None]


def fetch_windows(
    clerk: ClerkApi, windows: Windows, prepare: Prepare, *, workers: int
) -> Batches:
    """Walk all windows, `workers` at a time. Gives batches of at most 10,000 users or
    so: whatever has come while the last one was being written."""

    # Loaded here, where a bulk run pays for it.
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - see above

    # One thread decodes for all. They could not do it at once in any case, and would
    # each keep the memory that decoding takes.
    decoder = ThreadPoolExecutor(1, thread_name_prefix="decode")

    def walk() -> Iterator[Fetched]:
        while (window := windows.take()) is not None:

            def decode(body: bytes, window: Window = window) -> Fetched:
                page = clerk.parse_page(body)
                try:
                    return _fetched(windows.advance(window, page), prepare, window)
                except (LookupError, TypeError, ValueError) as error:
                    # Ours, not Clerk's: asking again would not help.
                    raise RuntimeError("A page could not be made ready.") from error

            def read(
                body: bytes, decode: Callable[[bytes], Fetched] = decode
            ) -> Fetched:
                return decoder.submit(decode, body).result()

            while not window.walked:
                yield next_page(clerk, window, read)

    try:
        yield from _in_background(walk, workers=workers, stop=windows.stop, clerk=clerk)
    finally:
        decoder.shutdown(wait=False)


def fetch_pages(clerk: ClerkApi, pages: Iterator[Page], prepare: Prepare) -> Batches:
    """Read a listing that can only be read page after page. Batches as above."""

    def walk() -> Iterator[Fetched]:
        return (_fetched(page, prepare) for page in pages)

    return _in_background(walk, workers=1, stop=lambda: None, clerk=clerk)


def _fetched(page: Page, prepare: Prepare, window: Window | None = None) -> Fetched:
    return Fetched(
        size=len(page),
        ids=page.ids,
        prepared=prepare(page),
        unreadable=len(page.unreadable),
        window=window,
        place=window.place if window else None,
        walked=window.walked if window else False,
    )


def _in_background(
    walk: Callable[[], Iterator[Fetched]],
    *,
    workers: int,
    stop: Callable[[], None],
    clerk: ClerkApi,
) -> Batches:
    """What all walks give, as it comes. The first error stops all of them, and is
    raised after everything that had been fetched by then."""
    results: Results = Queue(workers * _WAITING_PAGES)
    closed = threading.Event()

    def work() -> None:
        end: BaseException | None = None
        try:
            for fetched in walk():
                results.put(fetched)
                if closed.is_set():
                    break
        except BaseException as error:  # noqa: BLE001 - raised by who reads the results
            end = error
        results.put(end)

    threads = [
        threading.Thread(target=work, name=f"fetch-{number}", daemon=True)
        for number in range(workers)
    ]
    for thread in threads:
        thread.start()

    def end_early() -> None:
        closed.set()
        stop()

    # Thousands of objects come and go with every page, and none of them in circles.
    thresholds = gc.get_threshold()
    gc.set_threshold(_COLLECT_EVERY, *thresholds[1:])
    switch_interval = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_EVERY)
    all_ended = False
    try:
        yield from _collected(results, workers, clerk, end_early)
        all_ended = True
    finally:
        gc.set_threshold(*thresholds)
        sys.setswitchinterval(switch_interval)
        if not all_ended:
            end_early()
            clerk.stop()
            _let_go(results, threads)


def _collected(
    results: Results, workers: int, clerk: ClerkApi, end_early: Callable[[], None]
) -> Batches:
    """Everything from all workers, until each has ended or the grace is over."""
    batch: list[Fetched] = []
    size = 0
    first_error: BaseException | None = None
    give_up_at = clerk.deadline + GRACE_SECONDS
    most = _LARGEST
    while workers:
        if size >= most or (size >= _SMALLEST and results.empty()):
            began = time.monotonic()
            yield batch
            batch, size = [], 0
            most = _next_size(most, time.monotonic() - began)
        try:
            result = results.get(timeout=_seconds_until(give_up_at))
        except Empty:
            first_error = first_error or OutOfTimeError(OUT_OF_TIME)
            break
        if isinstance(result, Fetched):
            batch.append(result)
            size += result.size
            continue
        workers -= 1
        if result is not None and first_error is not None:
            if not isinstance(result, ClerksyncError):
                logger.error("another thread failed", **describe(result))
        elif result is not None:
            first_error = result
            give_up_at = min(give_up_at, time.monotonic() + GRACE_SECONDS)
            end_early()
    if batch:
        yield batch
    if first_error is not None:
        raise first_error


def _next_size(size: int, seconds: float) -> int:
    """How many users the next batch may have, if the last one took so long."""
    if seconds < _QUICK_SECONDS:
        return min(size * 4, _LARGEST)
    return max(1, size // 2) if seconds > _SLOW_SECONDS else size


def _let_go(
    results: Results,
    threads: list[threading.Thread],
) -> None:
    """End what still runs: nobody reads its results any more. A thread that waits for
    an answer that long is left to end by itself."""
    until = time.monotonic() + _LAST_SECONDS
    for thread in threads:
        while thread.is_alive() and time.monotonic() < until:
            with suppress(Empty):
                while True:
                    results.get_nowait()
            thread.join(0.02)


def _seconds_until(moment: float) -> float | None:
    """For a timeout; None means for ever."""
    if moment == math.inf:
        return None
    return max(0.0, moment - time.monotonic())
