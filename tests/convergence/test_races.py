"""Everything at once: sixteen processes, the real functions, one database."""

import random
import threading
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any

import psycopg
import pytest

from local.stub_clerk.faults import StubRequest
from local.stub_clerk.stub import StubClerk
from local.stub_clerk.users.object import primary_email_of
from local.stub_clerk.wire import JSON, to_json
from tests.convergence.racers import RACERS, Job, Racers
from tests.doors import api_request, ask_this_clerk, forget_settings
from tests.postgres import new_database
from tests.tables import rows

ROUNDS = 10
_versions = count(1_750_000_000_000)


@pytest.fixture(scope="module")
def stub() -> Iterator[StubClerk]:
    with StubClerk() as stub:
        yield stub


@pytest.fixture(scope="module")
def url(server_url: str, stub: StubClerk) -> Iterator[str]:
    """A database of our own, and settings that name it and the stub."""
    with new_database(server_url) as url, pytest.MonkeyPatch.context() as patch:
        forget_settings(patch)
        ask_this_clerk(patch, stub)
        patch.setenv("DATABASE_URL", url)
        patch.setenv("CLERK_WEBHOOK_SIGNING_SECRET", stub.webhook_signing_secret)
        patch.setenv("CLERK_JWT_KEY", stub.jwt_public_key)
        patch.setenv("CLERK_ISSUER", stub.issuer)
        patch.setenv("CLERKSYNC_RATE_LIMIT", "100000")
        yield url


@pytest.fixture(scope="module")
def racers(url: str) -> Iterator[Racers]:
    racers = Racers()
    yield racers
    racers.close()
    with psycopg.connect(url) as connection:
        # A backend tells of its deadlocks when it ends.
        wait_until_alone(connection)
        query = "SELECT deadlocks FROM pg_stat_database WHERE datname = %s"
        found = connection.execute(query, [connection.info.dbname]).fetchall()
    assert found == [(0,)], "deadlocks, even if they were made good by trying again"


@pytest.fixture
def table(url: str, stub: StubClerk) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection
        connection.execute("TRUNCATE users, rate_limits, sync_state, sync_runs")
    stub.reset_faults()
    for clerk_id in stub.ids():
        stub.delete_user(clerk_id)


def wait_until_alone(connection: psycopg.Connection) -> None:
    query = (
        "SELECT pg_stat_clear_snapshot(), pg_terminate_backend(pid, 30000)"
        " FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    connection.execute(query)


def sign_up(stub: StubClerk, **fields: Any) -> JSON:
    return stub.create_user(created_at=next(_versions), notify=False, **fields)


def change(stub: StubClerk, clerk_id: str, **changes: Any) -> JSON:
    """Clerk's clock is ours: no two changes within one millisecond."""
    at = next(_versions)
    return stub.update_user(clerk_id, notify=False, updated_at=at, **changes)


def webhook(stub: StubClerk, type_: str, user: JSON | str) -> Job:
    body = to_json(stub.event(type_, user))
    path, headers = "/api/webhooks/clerk", stub.sign(body)
    return "webhook", api_request("POST", path, body=body, headers=headers)


def self_sync(stub: StubClerk, clerk_id: str) -> Job:
    headers = {"authorization": f"Bearer {stub.session_token(clerk_id)}"}
    return "self_sync", api_request("POST", "/api/users/sync", headers=headers)


def assert_all_went_well(answers: list[Any]) -> None:
    """A 200 from each HTTP door, a completed run from each bulk sync."""
    assert {a.get("statusCode", 200) for a in answers} == {200}, answers
    assert {a.get("status", "completed") for a in answers} == {"completed"}, answers


def assert_equal_to_clerk(table: psycopg.Connection, stub: StubClerk) -> None:
    shown = {clerk_id: stub.get_user(clerk_id) for clerk_id in stub.ids()}
    stored, known = rows(table), rows(table, "sync_state")
    assert {i: (r["email"], r["first_name"]) for i, r in stored.items()} == {
        i: (primary_email_of(user), user["first_name"]) for i, user in shown.items()
    }
    assert set(rows(table, "rate_limits")) == set(shown)
    for clerk_id, user in shown.items():
        version = known[clerk_id]["clerk_updated_at"].timestamp() * 1000
        assert round(version) == user["updated_at"]


def test_one_user_is_created_at_once_by_all_doors(
    racers: Racers, stub: StubClerk, table: psycopg.Connection
) -> None:
    """Webhooks, browsers and bulk runs meet; one creates, and none fails."""
    for number in range(ROUNDS):
        user = sign_up(stub, email=f"noor{number}@example.com", first_name="Noor")
        jobs: list[list[Job]] = [
            [webhook(stub, "user.created", user)],
            [self_sync(stub, user["id"])],
            [("bulk_sync", {"mode": "full"})],
            [("bulk_sync", {"mode": "user", "user_id": user["id"]})],
        ]
        assert_all_went_well(racers.race(jobs * (RACERS // len(jobs))))
        assert_equal_to_clerk(table, stub)


def test_two_users_claim_one_email_at_once(
    racers: Racers, stub: StubClerk, table: psycopg.Connection
) -> None:
    """The newer claim has it, whoever comes first; the older one has none."""
    for number in range(ROUNDS):
        address = f"shared{number}@example.com"
        older = sign_up(stub, email=address, first_name="Older")
        claims = [webhook(stub, "user.created", older)]
        stub.delete_user(older["id"], notify=False)
        newer = sign_up(stub, email=address, first_name="Newer")
        claims.append(webhook(stub, "user.created", newer))
        assert_all_went_well(racers.race([[claim] for claim in claims * 8]))
        stored = rows(table)
        assert stored[older["id"]]["email"] is None
        assert stored[newer["id"]]["email"] == address


def test_bulk_runs_against_a_storm_of_webhooks(
    racers: Racers, stub: StubClerk, table: psycopg.Connection
) -> None:
    """Clerk goes on changing while four of them read it and twelve hear of it."""
    rng = random.Random(1)
    people = [sign_up(stub, email=f"p{n}@example.com")["id"] for n in range(150)]
    answers = racers.race([[("bulk_sync", {"mode": "full"})]] * RACERS)
    assert_all_went_well(answers)
    assert_equal_to_clerk(table, stub)

    jobs, changes = storm(stub, people, rng)
    rng.shuffle(jobs)

    one_at_a_time = threading.Lock()

    def go_on(_: StubRequest) -> None:
        with one_at_a_time:
            make(changes, 5)

    stub.interfere = go_on
    runs = [
        ("bulk_sync", {"mode": mode, "force": True})
        for mode in ("full", "incremental", "cleanup", "full")
    ]
    posts = [jobs[at::12] for at in range(12)]
    answers = racers.race([*posts, *[runs[at:] + runs[:at] for at in range(4)]])
    assert {a.get("statusCode", 200) for a in answers} == {200}, answers
    assert {a.get("status", "partial") for a in answers} <= {"completed", "partial"}
    make(changes, len(changes))
    assert_equal_to_clerk(table, stub)


def storm(
    stub: StubClerk, people: list[str], rng: random.Random
) -> tuple[list[Job], list[Callable[[], object]]]:
    """The events of many changes, and the changes themselves, still to be made."""
    jobs: list[Job] = []
    changes: list[Callable[[], object]] = []
    directory = stub.users

    def note(type_: str, user: JSON, make: Callable[[], object]) -> None:
        jobs.append(webhook(stub, type_, user))
        changes.append(make)

    began = [stub.get_user(clerk_id) for clerk_id in people]
    for number in range(60):
        one, other = rng.sample(people, 2)
        emails = [primary_email_of(stub.get_user(i)) for i in (one, other)]
        swap = [(one, f"between{number}@example.com"), (other, emails[0])]
        for clerk_id, email in [*swap, (one, emails[1])]:
            user = change(stub, clerk_id, email=email, first_name=f"Swap {number}")
            note("user.updated", user, partial(directory.replace, user))
    for clerk_id in people[:15]:
        user = stub.delete_user(clerk_id, notify=False)
        note("user.deleted", user, partial(directory.remove, clerk_id))
        heir = sign_up(stub, email=primary_email_of(user), first_name="Heir")
        note("user.created", heir, partial(directory.add, heir))
    # Back to where it began: the changes are made once more, while the race goes on.
    for clerk_id in stub.ids():
        directory.remove(clerk_id)
    for user in began:
        directory.add(user)
    return jobs, changes


def make(changes: list[Callable[[], object]], how_many: int) -> None:
    for change_at_clerk in changes[:how_many]:
        change_at_clerk()
    del changes[:how_many]
