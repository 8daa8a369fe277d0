"""Faults: what lasts while a block runs. Here those of the network, on either side."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final

from tests.chaos.proxy import Proxy
from tests.chaos.rig import Rig

# Longer than a webhook may take: nobody may wait for the end of it.
SILENCE_SECONDS: Final = 12.0


@dataclass(frozen=True, slots=True)
class Fault:
    name: str
    inject: Callable[[Rig], AbstractContextManager[None]]
    seconds: float = 3.0
    """How long the block is to run."""


@contextmanager
def repeatedly(work: Callable[[], object], *, every: float) -> Iterator[None]:
    """Do it at once and then, so many seconds apart, until the block ends."""
    stopped = threading.Event()

    def run() -> None:
        while not stopped.is_set():
            work()
            stopped.wait(every)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def network_faults(peer: str, proxy_of: Callable[[Rig], Proxy]) -> list[Fault]:
    """Between the functions and a peer."""

    @contextmanager
    def cut(rig: Rig) -> Iterator[None]:
        with repeatedly(proxy_of(rig).cut, every=0.1):
            yield

    @contextmanager
    def refused(rig: Rig) -> Iterator[None]:
        proxy_of(rig).refuse()
        yield
        proxy_of(rig).heal()

    @contextmanager
    def silent(rig: Rig) -> Iterator[None]:
        proxy_of(rig).freeze()
        yield
        proxy_of(rig).heal()

    @contextmanager
    def silent_from_the_start(rig: Rig) -> Iterator[None]:
        # New connections are taken, and nobody ever speaks.
        proxy_of(rig).freeze()
        proxy_of(rig).cut()
        yield
        proxy_of(rig).heal()

    @contextmanager
    def slowed(rig: Rig) -> Iterator[None]:
        proxy_of(rig).slow_down(delay=0.3, bytes_per_second=20_000)
        yield
        proxy_of(rig).heal()

    return [
        Fault(f"{peer}: connections cut, 10 times a second", cut),
        Fault(f"{peer}: connections refused", refused),
        Fault(f"{peer}: silent in the middle", silent, SILENCE_SECONDS),
        Fault(f"{peer}: silent from the start", silent_from_the_start, SILENCE_SECONDS),
        Fault(f"{peer}: slow, 0.3 s each way, 20 kB/s", slowed, 6),
    ]
