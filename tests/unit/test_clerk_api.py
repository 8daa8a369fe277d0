"""How Clerk's Backend API is asked: patiently, exactly, and with whose key."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from clerksync.clerk_api import BULK, IDS_LIMIT, ClerkApi, Patience
from clerksync.errors import (
    ClerkRequestError,
    ClerkUnavailableError,
    InvalidPayloadError,
    MissingSettingError,
)
from clerksync.settings import Settings
from local.stub_clerk import Fault, StubClerk, StubRequest
from tests.doors import forget_settings, listening
from tests.people import user_id

LATER = datetime(2100, 1, 1, tzinfo=UTC)
BROKEN = {
    "500": Fault(status=500),
    "502": Fault(status=502),
    "504 with Retry-After": Fault(status=504, headers={"Retry-After": "1"}),
    "closed connection": Fault(breaks="connection"),
    "half a body": Fault(breaks="body"),
    "truncated JSON": Fault(breaks="json"),
}
QUESTIONS: dict[str, Callable[[ClerkApi], object]] = {
    "instance": lambda clerk: clerk.instance_id(),
    "count": lambda clerk: clerk.count(created_before=LATER),
    "user": lambda clerk: clerk.user(user_id(1)),
    "page": lambda clerk: clerk.updated_page(offset=0),
}


@pytest.fixture(scope="module")
def shared_stub() -> Iterator[StubClerk]:
    with StubClerk(users=120) as stub:
        yield stub


@pytest.fixture
def stub(shared_stub: StubClerk, monkeypatch: pytest.MonkeyPatch) -> StubClerk:
    """A Clerk with 120 users to which the settings point."""
    forget_settings(monkeypatch)
    monkeypatch.setenv("CLERK_SECRET_KEY", shared_stub.secret_key)
    monkeypatch.setenv("CLERK_API_URL", shared_stub.url)
    shared_stub.reset_faults()
    shared_stub.reset_requests()
    return shared_stub


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited, without waiting."""
    waits: list[float] = []
    monkeypatch.setattr("clerksync.clerk_api.time.sleep", waits.append)
    return waits


@pytest.fixture
def clerk(stub: StubClerk, waits: list[float]) -> Iterator[ClerkApi]:
    """A client with the patience of a bulk run; every test looks at its waits."""
    assert stub.requests == len(waits) == 0
    clerk = ClerkApi(Settings(), BULK)
    yield clerk
    clerk._http.clear()


def sent(stub: StubClerk) -> StubRequest:
    """The one request that there was."""
    (request,) = stub.request_log
    return request


# Patience.


def test_a_rate_limit_is_waited_out_as_it_asks(
    clerk: ClerkApi, stub: StubClerk, waits: list[float]
) -> None:
    """Retry-After is obeyed to the second, each time."""
    stub.fail_next(2, status=429, retry_after=7)
    stub.fail_next(1, status=429, retry_after=2)
    assert clerk.instance_id() == stub.instance_id
    assert waits == [7, 7, 2]


def test_a_rate_limit_is_not_a_failed_try(
    clerk: ClerkApi, stub: StubClerk, waits: list[float]
) -> None:
    """Twenty of them, and five failures besides, are still within the patience."""
    stub.fail_next(20, status=429, retry_after=10)
    stub.fail_next(5, status=500, retry_after=None)
    assert clerk.instance_id() == stub.instance_id
    assert waits[:20] == [10] * 20
    assert len(waits) == 25
    assert clerk.requests == stub.requests == 26


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        (None, 1),
        ("soon", 1),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 1),
        ("0", 0.1),
        ("-5", 0.1),
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
    clerk.instance_id()
    assert waits == [wait]


@pytest.mark.parametrize("header", ["301", "86400"])
def test_a_wait_that_is_too_long_is_not_waited(
    clerk: ClerkApi, stub: StubClerk, waits: list[float], header: str
) -> None:
    """Clerk then counts as unavailable, until a time that can be told."""
    stub.fail_next(fault=Fault(status=429, headers={"Retry-After": header}))
    with pytest.raises(ClerkUnavailableError) as raised:
        clerk.instance_id()
    assert waits == []
    assert 1 <= raised.value.retry_after_seconds < 10**9


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("times", [1, 5])
def test_what_breaks_is_asked_again(
    clerk: ClerkApi, stub: StubClerk, waits: list[float], name: str, times: int
) -> None:
    """Up to five times, each after about twice the wait of the one before."""
    stub.fail_next(times, fault=BROKEN[name])
    assert clerk.instance_id() == stub.instance_id
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
        clerk.instance_id()
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
        clerk.instance_id()
    assert len(waits) == 5


def test_silence_is_unavailable(stub: StubClerk, waits: list[float]) -> None:
    """Who connects and says nothing is not waited for."""
    stub.fail_next(2, fault=Fault(delay_ms=2000))
    impatient = ClerkApi(Settings(), Patience(1, 1, 0.05))
    with pytest.raises(ClerkUnavailableError):
        impatient.instance_id()
    assert len(waits) == 1


# What is not asked again.


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_refusal_is_not_asked_again(
    clerk: ClerkApi, stub: StubClerk, waits: list[float], status: int
) -> None:
    """Asking again would not help."""
    stub.fail_next(status=status, retry_after=None)
    with pytest.raises(ClerkRequestError) as raised:
        clerk.instance_id()
    assert raised.value.status == status
    assert (stub.requests, waits) == (1, [])


def test_a_wrong_key_is_named_and_not_shown(
    clerk: ClerkApi, stub: StubClerk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says which setting to look at."""
    monkeypatch.setenv("CLERK_SECRET_KEY", "sk_test_wrong")
    with pytest.raises(ClerkRequestError, match="CLERK_SECRET_KEY") as raised:
        clerk.instance_id()
    assert "sk_test" not in str(raised.value)
    assert stub.requests == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(
    clerk: ClerkApi, stub: StubClerk, waits: list[float], status: int
) -> None:
    """Nobody sends our secret key elsewhere."""
    with listening(b"{}") as elsewhere:
        headers = {"Location": elsewhere.url + "/v1/instance"}
        stub.fail_next(fault=Fault(status=status, headers=headers))
        with pytest.raises(ClerkRequestError) as raised:
            clerk.instance_id()
        assert elsewhere.heard == []
    assert raised.value.status == status
    assert waits == []


@pytest.mark.parametrize("body", [b"17", b"null", b'{"id": null}', b'["id"]', b"{}"])
@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.usefixtures("stub", "waits")
def test_an_answer_of_another_shape_is_clerks_failure(
    monkeypatch: pytest.MonkeyPatch, body: bytes, question: str
) -> None:
    """A proxy's greeting is no reason for another exception."""
    with listening(body) as host:
        monkeypatch.setenv("CLERK_API_URL", host.url)
        clerk = ClerkApi(Settings(), Patience(1, 1, 5))
        if (question, body) == ("page", b'["id"]'):
            # A page with one unreadable user is a page.
            assert clerk.updated_page(offset=0).undecodable == [None]
        else:
            with pytest.raises(ClerkUnavailableError):
                QUESTIONS[question](clerk)
        clerk._http.clear()


# Whose key.


def test_the_backend_api_gets_the_key_and_a_version(
    clerk: ClerkApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version is pinned: Clerk changes what an unpinned client gets."""
    with listening(b'{"id": "ins_1"}') as host:
        monkeypatch.setenv("CLERK_API_URL", host.url)
        monkeypatch.setenv("CLERK_SECRET_KEY", "sk_test_mine")
        assert clerk.instance_id() == "ins_1"
        clerk._http.clear()
    ((path, headers),) = host.heard
    assert path == "/v1/instance"
    assert headers["authorization"] == "Bearer sk_test_mine"
    assert headers["clerk-api-version"] == "2026-05-12"


@pytest.mark.parametrize("same_host", [True, False], ids=["same host", "other host"])
def test_the_key_set_of_an_issuer_is_fetched_without_the_key(
    clerk: ClerkApi, monkeypatch: pytest.MonkeyPatch, *, same_host: bool
) -> None:
    """It is public, and the issuer is whoever the setting names."""
    with listening(b'{"keys": []}') as host:
        monkeypatch.setenv("CLERK_SECRET_KEY", "sk_test_mine")
        if same_host:
            monkeypatch.setenv("CLERK_API_URL", host.url)
        assert clerk.jwks(clerk.jwks_url(host.url)) == {"keys": []}
        # Beginning with the same letters does not make it the same host.
        monkeypatch.setenv("CLERK_API_URL", host.url[:-1])
        clerk.jwks(f"{host.url}/v1/jwks")
        clerk._http.clear()
    assert [path for path, _ in host.heard] == ["/.well-known/jwks.json", "/v1/jwks"]
    for _, headers in host.heard:
        assert "authorization" not in headers
        assert "sk_test_mine" not in str(headers)


def test_the_key_set_of_an_issuer_needs_no_key(
    clerk: ClerkApi, stub: StubClerk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the issuer is known, the secret key need not be set."""
    monkeypatch.delenv("CLERK_SECRET_KEY")
    assert clerk.jwks(clerk.jwks_url(stub.issuer)) == stub.session_key.jwks
    with pytest.raises(MissingSettingError):
        clerk.jwks(clerk.jwks_url(None))


# What is asked.


def test_users_by_id_are_asked_for_with_a_limit(
    clerk: ClerkApi, stub: StubClerk
) -> None:
    """Without it ninety of a hundred live users look deleted."""
    ids = stub.ids()[:IDS_LIMIT]
    found = clerk.users_by_id(ids)
    assert {user.id for user in found} == set(ids)
    assert sent(stub).query["limit"] == ["100"]
    assert sent(stub).query["user_id"] == ids


def test_users_that_clerk_does_not_know_are_not_among_those_found(
    clerk: ClerkApi, stub: StubClerk
) -> None:
    """They are gone, and the others are not."""
    known = stub.ids()[0]
    assert [u.id for u in clerk.users_by_id([user_id(404), known])] == [known]


def test_no_more_than_a_hundred_ids_are_asked_for(
    clerk: ClerkApi, stub: StubClerk
) -> None:
    """Clerk would leave out the rest, which would pass for gone."""
    with pytest.raises(ValueError, match="100"):
        clerk.users_by_id([user_id(n) for n in range(101)])
    assert stub.requests == 0


def test_a_user_asked_by_id_that_cannot_be_read_does_not_pass_for_gone(
    clerk: ClerkApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof of a deletion must not rest on our own misreading."""
    with listening(json.dumps([{"id": user_id(1)}]).encode()) as host:
        monkeypatch.setenv("CLERK_API_URL", host.url)
        with pytest.raises(InvalidPayloadError):
            clerk.users_by_id([user_id(1)])
        clerk._http.clear()


def test_one_user_is_asked_for_by_id(clerk: ClerkApi, stub: StubClerk) -> None:
    """None where Clerk answers 404."""
    known = stub.ids()[0]
    user = clerk.user(known)
    assert user is not None
    assert user.id == known
    assert clerk.user(user_id(404)) is None


@pytest.mark.parametrize(
    ("after", "cursor", "expected"),
    [
        (None, None, {}),
        (
            datetime(2001, 9, 9, 1, 46, 40, 123_000, UTC),
            None,
            {"created_at_after": ["1000000000123"]},
        ),
        (None, user_id(7), {"starting_after": [user_id(7)]}),
    ],
    ids=["first page", "window", "cursor"],
)
def test_a_page_of_the_listing_is_asked_for_exactly(
    clerk: ClerkApi,
    stub: StubClerk,
    after: datetime | None,
    cursor: str | None,
    expected: dict[str, Any],
) -> None:
    """500 users, oldest first, up to a time in milliseconds, behind a cursor."""
    stub.fail_next(status=422, retry_after=None)
    with pytest.raises(ClerkRequestError):
        clerk.created_page(
            created_after=after, created_before=LATER, starting_after=cursor
        )
    assert (
        sent(stub).query
        == {
            "limit": ["500"],
            "order_by": ["+created_at"],
            "created_at_before": ["4102444800000"],
        }
        | expected
    )


def test_the_last_updated_users_come_first(clerk: ClerkApi, stub: StubClerk) -> None:
    """By offset: there is no filter by that time."""
    page = clerk.updated_page(offset=20)
    assert len(page) == 100
    assert sent(stub).query == {
        "limit": ["500"],
        "order_by": ["-updated_at"],
        "offset": ["20"],
    }


def test_users_are_counted(clerk: ClerkApi, stub: StubClerk) -> None:
    """Those created before a time."""
    assert clerk.count(created_before=LATER) == 120
    assert sent(stub).query == {"created_at_before": ["4102444800000"]}
    assert clerk.count(created_before=datetime(2001, 1, 1, tzinfo=UTC)) == 0


def test_every_request_is_counted(clerk: ClerkApi, stub: StubClerk) -> None:
    """Those that failed too: the report tells what the rate limit was used for."""
    stub.fail_next(3, status=429, retry_after=1)
    stub.fail_next(2, fault=BROKEN["closed connection"])
    clerk.instance_id()
    clerk.count(created_before=LATER)
    assert clerk.requests == stub.requests == 7
