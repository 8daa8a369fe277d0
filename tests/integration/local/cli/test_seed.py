"""`clerksync seed`: invented users, never in a live instance."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from clerksync.settings.environment import Settings
from local.seeding import invented_email, invented_user, seed_users
from local.stub_clerk.faults import Fault, StubRequest
from local.stub_clerk.stub import StubClerk
from tests.doors import ask_this_clerk
from tests.openapi import assert_request, needs_specifications
from tests.terminal import clerksync_here


@pytest.fixture
def empty(settings: dict[str, str]) -> Iterator[StubClerk]:
    """An instance without users, in the place of the other."""
    with StubClerk() as stub:
        settings |= {"CLERK_SECRET_KEY": stub.secret_key, "CLERK_API_URL": stub.url}
        yield stub


@pytest.fixture
def seed(tmp_path: Path, settings: dict[str, str]) -> Any:
    def run(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        return clerksync_here("seed", *arguments, cwd=tmp_path, **settings | changes)

    return run


def people(stub: StubClerk) -> dict[str, tuple[str | None, str | None, str]]:
    """First name, last name and metadata by address."""
    users = map(stub.get_user, stub.ids())
    return {
        user["email_addresses"][0]["email_address"]: (
            user["first_name"],
            user["last_name"],
            json.dumps(user["public_metadata"]),
        )
        for user in users
    }


def writes(stub: StubClerk) -> list[StubRequest]:
    return [request for request in stub.request_log if request.method != "GET"]


def test_users_are_made_with_addresses_that_get_no_mail(
    seed: Any, empty: StubClerk
) -> None:
    """Clerk's own convention for tests, with names of all kinds."""
    done = seed("--users", "12")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("making users: 12 of 12\n12 users made.\n")
    made = people(empty)
    assert len(made) == 12
    assert all(email.endswith("+clerk_test@example.com") for email in made)
    assert all(first and last for first, last, _ in made.values())


def test_the_same_seed_gives_the_same_users_everywhere(
    seed: Any, empty: StubClerk
) -> None:
    """Also when there are more of them; another seed gives others."""
    seed("--users", "5")
    first = people(empty)
    with StubClerk() as elsewhere:
        key, url = elsewhere.secret_key, elsewhere.url
        seed("--users", "7", CLERK_SECRET_KEY=key, CLERK_API_URL=url)
        second = people(elsewhere)
    assert first.items() <= second.items()
    assert len(second) == 7
    seed("--users", "5", "--seed", "2")
    third = people(empty)
    assert len(third) == 10
    assert {third[e] for e in third.keys() - first.keys()}.isdisjoint(first.values())


def test_called_again_it_makes_only_who_is_missing(seed: Any, empty: StubClerk) -> None:
    """More than one batch, some of whom are there."""
    seed("--users", "60")
    empty.delete_user(empty.ids()[3])
    empty.reset_requests()
    done = seed("--users", "70")
    assert done.stdout.splitlines()[-1] == "11 users made, 59 were there."
    assert empty.count == 70
    assert len(writes(empty)) == 11


def test_after_a_failure_it_goes_on(seed: Any, empty: StubClerk) -> None:
    """What was made stays, and is not made twice."""

    empty.interfere = lambda _: Fault(status=400) if empty.count == 4 else None
    done = seed("--users", "9")
    assert done.returncode == 1
    assert "error: Clerk answered 400" in done.stderr
    empty.interfere = None
    done = seed("--users", "9")
    assert done.stdout.splitlines()[-1] == "5 users made, 4 were there."


def test_an_answer_that_got_lost_makes_no_second_user(
    seed: Any, empty: StubClerk
) -> None:
    """Clerk made the user, and says so when it is asked again."""
    asked = 0

    def cut(request: StubRequest) -> Fault | None:
        nonlocal asked
        asked += request.method == "POST"
        return Fault(breaks="body") if request.method == "POST" and asked == 2 else None

    empty.interfere = cut
    done = seed("--users", "3")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "2 users made, 1 were there."
    assert empty.count == 3


def test_too_many_requests_are_waited_out(seed: Any, empty: StubClerk) -> None:
    """As long as Clerk says, and nobody is left out."""
    empty.rate_limit, empty.rate_limit_window_s = 4, 0.2
    assert seed("--users", "10").returncode == 0
    assert empty.count == 10


def test_clerk_that_stays_away_is_given_up(
    seed: Any, empty: StubClerk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After five tries; calling it again goes on."""
    waits: list[float] = []
    clock = SimpleNamespace(sleep=waits.append)
    monkeypatch.setattr("local.seeding.time", clock)
    empty.fail_next(99, path="/v1/users", fault=Fault(status=503))
    done = seed("--users", "3")
    assert done.returncode == 1
    assert "Clerk cannot be asked: status 503 (internal_clerk_error)." in done.stderr
    assert len(waits) == 4


def test_the_rate_limit_is_kept(
    empty: StubClerk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of a development instance, with a tenth left to the application."""
    waits: list[float] = []
    clock = SimpleNamespace(sleep=waits.append, monotonic=lambda: 1000 + sum(waits))
    monkeypatch.setattr("local.seeding.time", clock)
    monkeypatch.setattr("clerksync.clerk.rate_limit.time", clock)
    ask_this_clerk(monkeypatch, empty)

    def made(*, is_stub: bool, seed: int) -> int:
        settings = Settings()
        return seed_users(
            settings, users=185, seed=seed, is_stub=is_stub, progress=lambda *_: None
        ).made

    assert made(is_stub=True, seed=1) == 185
    assert waits == []
    assert made(is_stub=False, seed=2) == 185
    assert sum(waits) == pytest.approx(20)


@pytest.mark.parametrize("key", ["sk_live_1234", "whatever"])
def test_a_key_that_is_not_of_development_is_refused(
    seed: Any, empty: StubClerk, key: str
) -> None:
    """Before anybody is asked anything."""
    done = seed("--users", "3", CLERK_SECRET_KEY=key)
    assert done.returncode == 1
    assert "in a development instance only" in done.stderr
    assert "sk_live_1234" not in done.stderr
    assert empty.requests == 0


def test_a_live_instance_is_refused_whatever_its_key_says(seed: Any) -> None:
    """Clerk itself says which it is; then nothing is written."""
    key = "sk_test_of_a_live_instance"
    with StubClerk(environment_type="production", secret_key=key) as live:
        done = seed("--users", "3", CLERK_SECRET_KEY=key, CLERK_API_URL=live.url)
        assert [(r.method, r.path) for r in live.request_log] == [
            ("GET", "/v1/instance")
        ]
        assert live.count == 0
    assert done.returncode == 1
    assert f"{live.instance_id}, a production instance" in done.stderr


def test_an_instance_without_names_gets_users_without(
    seed: Any, empty: StubClerk
) -> None:
    """Clerk refuses what is switched off there."""
    unknown = Fault(status=422, code="form_param_unknown")
    refused: list[StubRequest] = []

    def refuse(request: StubRequest) -> Fault | None:
        if request.method != "POST" or refused:
            return None
        refused.append(request)
        return unknown

    empty.interfere = refuse
    assert seed("--users", "3").returncode == 0
    names = {
        name for first, last, _ in people(empty).values() for name in (first, last)
    }
    assert (empty.count, names) == (3, {None})


def test_an_instance_that_is_full_is_told_as_such(seed: Any, empty: StubClerk) -> None:
    """Development instances take few users."""
    full = Fault(status=403, code="user_quota_exceeded")
    empty.interfere = lambda r: full if r.method == "POST" else None
    done = seed("--users", "3")
    assert done.returncode == 1
    assert "Clerk answered 403 (user_quota_exceeded). Is the instance full?" in (
        done.stderr
    )


@needs_specifications
def test_what_is_sent_is_as_clerks_specification_says() -> None:
    """And nothing that is not in it."""
    for number in range(50):
        body = {"email_address": [invented_email(number, 1)]}
        assert_request("post", "/users", body | invented_user(number, 1))


def test_without_settings_it_says_where_users_could_live(tmp_path: Path) -> None:
    """The stub of a command ends with it: none is started."""
    done = clerksync_here("seed", "--users", "3", cwd=tmp_path)
    assert done.returncode == 1
    assert "Start clerksync dev in another terminal" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("users", ["0", "-1", "many", "1000000"])
def test_a_number_of_users_that_is_none_is_wrong_use(
    seed: Any, empty: StubClerk, users: str
) -> None:
    """Before Clerk is asked."""
    done = seed("--users", users)
    assert (done.returncode, empty.requests) == (2, 0)
