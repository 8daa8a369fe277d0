"""What is asked again, after which waits, and when it is given up."""

import pytest

from clerksync.clerk.api import ClerkApi
from clerksync.clerk.retry import INTERACTIVE, Patience
from clerksync.errors import (
    ClerkUnavailableError,
)
from clerksync.settings.clerk_client import clerk_client
from clerksync.settings.environment import Settings
from local.stub_clerk.faults import Fault
from local.stub_clerk.stub import StubClerk
from tests.foreign_responses import FOREIGN

BROKEN = {
    "500": Fault(status=500),
    "502": Fault(status=502),
    "504 with Retry-After": Fault(status=504, headers={"Retry-After": "1"}),
    "closed connection": Fault(breaks="connection"),
    "half a body": Fault(breaks="body"),
    "truncated JSON": Fault(breaks="json"),
} | {name: fault for name, fault in FOREIGN.items() if name != "another code"}


def test_a_rate_limit_is_waited_out_as_it_asks(
    clerk: ClerkApi, stub: StubClerk, waits: list[float]
) -> None:
    """Retry-After is obeyed to the second, each time."""
    stub.fail_next(2, status=429, retry_after=7)
    stub.fail_next(1, status=429, retry_after=2)
    assert clerk.instance().id == stub.instance_id
    assert waits == [7, 7, 2]


def test_a_rate_limit_is_not_a_failed_try(
    clerk: ClerkApi, stub: StubClerk, waits: list[float]
) -> None:
    """Twenty of them, and five failures besides, are still within the patience."""
    stub.fail_next(20, status=429, retry_after=10)
    stub.fail_next(5, status=500, retry_after=None)
    assert clerk.instance().id == stub.instance_id
    assert waits[:20] == [10] * 20
    assert len(waits) == 25
    assert clerk.requests == stub.requests == 26


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        (None, 1),
        ("soon", 1),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 1),
        ("Fri, 01 Jan 1999 00:00:00 GMT", 1),
        ("0", 0.1),
        ("-5", 1),
        ("86400", 1),
        ("1764600000", 1),
        ("9" * 400, 1),
        ("1_0", 1),
        ("inf", 1),
        ("nan", 1),
    ],
)
def test_a_rate_limit_that_does_not_say_how_long_is_waited_out_briefly(
    clerk: ClerkApi,
    stub: StubClerk,
    waits: list[float],
    header: str | None,
    wait: float,
) -> None:
    """Never not at all: that would hammer."""
    headers = {} if header is None else {"Retry-After": header}
    stub.fail_next(fault=Fault(status=429, headers=headers))
    clerk.instance()
    assert waits == [pytest.approx(wait)]


def test_a_rate_limit_may_name_a_date(
    clerk: ClerkApi, stub: StubClerk, waits: list[float]
) -> None:
    """It is compared with the date of the same response, not with our clock."""
    headers = {
        "Date": "Fri, 01 Jan 1999 00:00:00 GMT",
        "Retry-After": "Fri, 01 Jan 1999 00:00:12 GMT",
    }
    stub.fail_next(fault=Fault(status=429, headers=headers))
    clerk.instance()
    assert waits == [12]


def test_a_bulk_sync_waits_at_most_a_minute_at_a_time(
    clerk: ClerkApi, stub: StubClerk, waits: list[float]
) -> None:
    """However long Retry-After asks for."""
    stub.fail_next(fault=Fault(status=429, headers={"Retry-After": "301"}))
    assert clerk.instance().id == stub.instance_id
    assert waits == [60]


def test_a_rate_limit_that_lasts_is_asked_about_less_and_less_often(
    clerk: ClerkApi, stub: StubClerk, waits: list[float]
) -> None:
    """Without a Retry-After that makes sense, and never after more than a minute."""
    stub.fail_next(8, fault=Fault(status=429, headers={"Retry-After": "86400"}))
    assert clerk.instance().id == stub.instance_id
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


@pytest.mark.parametrize("header", ["30", "86400", "1764600000"])
def test_somebody_who_waits_is_never_sent_away_for_longer_than_five_seconds(
    stub: StubClerk, waits: list[float], header: str
) -> None:
    """Neither this request nor the next ones that use the same client."""
    stub.fail_next(3, fault=Fault(status=429, headers={"Retry-After": header}))
    clerk = clerk_client(Settings(), INTERACTIVE)
    with pytest.raises(ClerkUnavailableError) as raised:
        clerk.instance()
    assert 1 <= raised.value.retry_after_seconds <= 5
    assert clerk.rate_limiter.seconds_to_wait() <= 5
    assert sum(waits) <= 2


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("times", [1, 5])
def test_what_breaks_is_asked_again(
    clerk: ClerkApi, stub: StubClerk, waits: list[float], name: str, times: int
) -> None:
    """Up to five times, each after about twice the wait of the one before."""
    stub.fail_next(times, fault=BROKEN[name])
    assert clerk.instance().id == stub.instance_id
    assert stub.requests == times + 1
    assert len(waits) == times
    for number, wait in enumerate(waits, start=1):
        longest = 0.5 * 2**number
        assert longest / 2 <= wait <= longest


@pytest.mark.parametrize("name", BROKEN)
def test_what_goes_on_breaking_is_given_up(
    clerk: ClerkApi, stub: StubClerk, waits: list[float], name: str
) -> None:
    """After the sixth try; no message shows a key."""
    stub.fail_next(50, fault=BROKEN[name])
    with pytest.raises(ClerkUnavailableError) as raised:
        clerk.instance()
    assert stub.requests == 6
    assert len(waits) == 5
    assert stub.secret_key not in str(raised.value)
    assert stub.url not in str(raised.value)


def test_tries_are_counted_for_each_request_anew(
    clerk: ClerkApi, stub: StubClerk, waits: list[float]
) -> None:
    """Failures of one page do not use up the patience for the next."""
    for _ in range(3):
        stub.fail_next(5, fault=BROKEN["500"])
        assert len(clerk.updated_page(offset=0)) == 120
    assert len(waits) == 15


def test_nobody_there_is_unavailable(
    clerk: ClerkApi, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused connection is one more way not to answer."""
    monkeypatch.setenv("CLERK_API_URL", "http://127.0.0.1:1")
    with pytest.raises(ClerkUnavailableError):
        clerk.instance()
    assert len(waits) == 5


def test_silence_is_unavailable(stub: StubClerk, waits: list[float]) -> None:
    """Who connects and says nothing is not waited for."""
    stub.fail_next(2, fault=Fault(delay_ms=2000))
    impatient = clerk_client(Settings(), Patience(1, 1, 0.05))
    with pytest.raises(ClerkUnavailableError):
        impatient.instance()
    assert len(waits) == 1
