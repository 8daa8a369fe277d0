"""What Clerk answers instead of what it should."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

from local.stub_clerk.faults import Fault as Spoilt
from local.stub_clerk.faults import StubRequest
from tests.chaos.faults import Fault
from tests.chaos.rig import Rig


def clerk_faults() -> list[Fault]:
    """Those that begin and end while somebody asks."""
    too_many = Spoilt(status=429, headers={"Retry-After": "1"})
    return [
        _spoiling("429, nine times of ten", too_many, share=0.9),
        _spoiling("500", Spoilt(status=500)),
        _spoiling("500, every other time", Spoilt(status=500), share=0.5),
        _spoiling("closes without an answer", Spoilt(breaks="connection")),
        _spoiling("half of the body", Spoilt(breaks="body")),
        _spoiling("half of the JSON", Spoilt(breaks="json")),
    ]


def _spoiling(name: str, spoilt: Spoilt, *, share: float = 1) -> Fault:
    @contextmanager
    def inject(rig: Rig) -> Iterator[None]:
        chance = random.Random(share)

        def interfere(_: StubRequest) -> Spoilt | None:
            return spoilt if chance.random() < share else None

        rig.clerk.interfere = interfere
        yield
        rig.clerk.interfere = None

    return Fault(f"Clerk: {name}", inject, 4)
