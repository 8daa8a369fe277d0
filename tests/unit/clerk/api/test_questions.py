"""What is asked, to the letter, and answers that are none."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from clerksync.clerk.api import ClerkApi
from clerksync.clerk.retry import Patience
from clerksync.clerk.user import IDS_LIMIT
from clerksync.errors import (
    ClerkRequestError,
    ClerkUnavailableError,
    InvalidPayloadError,
)
from clerksync.settings.clerk_client import clerk_client
from clerksync.settings.environment import Settings
from local.stub_clerk.faults import Fault, StubRequest
from local.stub_clerk.stub import StubClerk
from tests.doors import listening
from tests.people import user_id

LATER = 4_102_444_800_000  # in the year 2100
QUESTIONS: dict[str, Callable[[ClerkApi], object]] = {
    "instance": lambda clerk: clerk.instance(),
    "count": lambda clerk: clerk.count(created_before=LATER),
    "user": lambda clerk: clerk.user(user_id(1)),
    "page": lambda clerk: clerk.updated_page(offset=0),
}


def sent(stub: StubClerk) -> StubRequest:
    """The one request that there was."""
    (request,) = stub.request_log
    return request


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
            1_000_000_000_123,
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
    after: int | None,
    cursor: str | None,
    expected: dict[str, Any],
) -> None:
    """500 users, oldest first, up to a time in milliseconds, behind a cursor."""
    stub.fail_next(status=422, retry_after=None)
    with pytest.raises(ClerkRequestError):
        clerk.created_page(
            created_after=after,
            created_before=LATER,
            starting_after=cursor,
            read=len,
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
    assert clerk.count(created_before=1_000_000_000_000) == 0


def test_every_request_is_counted(clerk: ClerkApi, stub: StubClerk) -> None:
    """Those that failed too: the report tells what the rate limit was used for."""
    stub.fail_next(3, status=429, retry_after=1)
    stub.fail_next(2, fault=Fault(breaks="connection"))
    clerk.instance()
    clerk.count(created_before=LATER)
    assert clerk.requests == stub.requests == 7


@pytest.mark.parametrize("body", [b"17", b"null", b'{"id": null}', b'["id"]', b"{}"])
@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.usefixtures("stub", "waits")
def test_an_answer_of_another_shape_is_clerks_failure(
    monkeypatch: pytest.MonkeyPatch, body: bytes, question: str
) -> None:
    """A proxy's greeting is no reason for another exception."""
    with listening(body) as host:
        monkeypatch.setenv("CLERK_API_URL", host.url)
        clerk = clerk_client(Settings(), Patience(1, 1, 5))
        if (question, body) == ("page", b'["id"]'):
            # A page with one unreadable user is a page.
            assert clerk.updated_page(offset=0).unreadable
        else:
            with pytest.raises(ClerkUnavailableError):
                QUESTIONS[question](clerk)
        clerk._http.clear()
