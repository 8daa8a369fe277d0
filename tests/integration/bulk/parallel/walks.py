"""What the stub is asked in a walk, and who asks."""

import threading
from collections.abc import Callable

from clerksync.bulk.report import Report
from local.stub_clerk.faults import Fault, StubRequest
from local.stub_clerk.stub import StubClerk
from tests.clock import RunClock
from tests.integration.bulk.bulk import Bulk


def is_page(request: StubRequest) -> bool:
    return "created_at_before" in request.query and request.path == "/v1/users"


def cursor(request: StubRequest) -> str:
    return request.query.get("starting_after", [""])[0]


def pages_asked(stub: StubClerk) -> list[StubRequest]:
    """In the order in which they came."""
    return [request for request in stub.request_log if is_page(request)]


def from_page(
    number: int, happens: Callable[[StubRequest], Fault | None]
) -> Callable[[StubRequest], Fault | None]:
    """Interferes with that page and all after it; counts from 1."""
    pages = 0
    lock = threading.Lock()

    def interfere(request: StubRequest) -> Fault | None:
        nonlocal pages
        with lock:
            pages += is_page(request)
            due = is_page(request) and pages >= number
        return happens(request) if due else None

    return interfere


def fetching_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("fetch-")]


def decoding_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("decode")]


def late_from(
    parameter: str, number: int, clock: RunClock, *, by: float = 100
) -> Callable[[StubRequest], None]:
    """Puts the clock forward at the nth request that has a parameter, by seconds that
    end the time of a run of a minute."""
    asked = 0
    lock = threading.Lock()

    def interfere(request: StubRequest) -> None:
        nonlocal asked
        if parameter in request.query:
            with lock:
                asked += 1
                if asked == number:
                    clock.put_forward(by)

    return interfere


def run_out_of_time(
    bulk: Bulk, stub: StubClerk, clock: RunClock, *, page: int, mode: str = "full"
) -> Report:
    """A run that has time for so many pages, and for those on their way with them."""
    stub.interfere = late_from("order_by", page, clock)
    report = bulk(mode, deadline=clock.now() + 60)
    stub.interfere = None
    return report
