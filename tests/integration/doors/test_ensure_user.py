"""Server code that is asked before the webhook came."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest

from clerksync.clerk.api import ClerkApi
from clerksync.clerk.retry import Patience
from clerksync.clerk.user import parse_user
from clerksync.doors.ensure_user import ensure_user
from clerksync.errors import (
    ClerkRequestError,
    ClerkUnavailableError,
    DeletedUserError,
    MissingEmailError,
    MissingSettingError,
    NotAuthenticatedError,
    OtherInstanceTokenError,
    UnknownUserError,
)
from clerksync.postgres.database import Database, Result, Work
from clerksync.settings.clerk_client import clerk_client
from clerksync.settings.environment import Settings
from clerksync.write.user_batches import UserBatches
from local.stub_clerk.faults import Fault, StubRequest
from local.stub_clerk.stub import StubClerk
from tests.doors import ask_this_clerk, untouched
from tests.foreign_responses import FOREIGN
from tests.people import a_user, user_id
from tests.tables import belongs_to, rows

_IMPATIENT = Patience(retries=0, longest_wait_seconds=0.1, timeout_seconds=120)


@pytest.fixture
def stub(environment: pytest.MonkeyPatch) -> Iterator[StubClerk]:
    with StubClerk() as stub:
        ask_this_clerk(environment, stub)
        yield stub


@pytest.fixture
def clerk() -> ClerkApi:
    return clerk_client(Settings(), _IMPATIENT)


@pytest.fixture
def noor(stub: StubClerk) -> str:
    """Signed up a moment ago; her webhook is on its way."""
    user = stub.create_user(
        email="noor@example.com", first_name="Noor", last_name="Castell"
    )
    stub.reset_requests()
    return str(user["id"])


def test_a_user_whose_webhook_has_not_come_yet_is_synced_first(
    stub: StubClerk,
    clerk: ClerkApi,
    users: UserBatches,
    noor: str,
    connection: psycopg.Connection,
) -> None:
    """One request to Clerk, and the whole row. The webhook then changes nothing."""
    row = ensure_user(users, clerk, noor)
    assert (row["id"], row["email"], row["tier"]) == (noor, "noor@example.com", "FREE")
    assert row == users.find(noor)
    assert list(rows(connection, "rate_limits")) == [noor]
    assert stub.requests == 1
    assert users.upsert(parse_user(stub.get_user(noor))).action == "unchanged"


class Counting(Database):
    """Counts its units of work."""

    calls = 0

    def run(self, work: Work[Result]) -> Result:
        self.calls += 1
        return super().run(work)


@pytest.mark.usefixtures("environment")
def test_a_row_that_is_there_is_one_query(
    users: UserBatches, database_url: str, connection: psycopg.Connection
) -> None:
    """Clerk is not asked: neither its key nor its address is set."""
    users.upsert(a_user())
    clerk = clerk_client(Settings(), _IMPATIENT)
    with closing(Counting(lambda: database_url)) as counting, untouched(connection):
        row = ensure_user(UserBatches(counting), clerk, user_id(1))
    assert row["email"] == "user1@example.com"
    assert counting.calls == 1
    with pytest.raises(MissingSettingError, match="CLERK_SECRET_KEY"):
        ensure_user(users, clerk, user_id(2))


def test_no_transaction_is_open_while_clerk_is_asked(
    stub: StubClerk,
    clerk: ClerkApi,
    users: UserBatches,
    noor: str,
    connection: psycopg.Connection,
) -> None:
    """Nothing is held for as long as somebody else's server takes."""
    states: set[str] = set()

    def look(_: StubRequest) -> None:
        states.update(
            row[0]
            for row in connection.execute(
                "SELECT state FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND application_name = 'clerksync'"
            )
        )

    stub.interfere = look
    ensure_user(users, clerk, noor)
    assert states == {"idle"}


def test_many_at_once_all_get_the_row(
    stub: StubClerk, clerk: ClerkApi, database_url: str, users: UserBatches, noor: str
) -> None:
    """Of a page that asks for eight things, and a webhook that comes meanwhile."""
    here = threading.Barrier(9)

    def wait_for_all(_: StubRequest) -> None:
        here.wait(60)

    stub.interfere = wait_for_all

    def ask(_: int) -> str:
        with closing(Database(lambda: database_url)) as database:
            return str(ensure_user(UserBatches(database), clerk, noor)["email"])

    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(ask, range(8))
        here.wait(60)
        users.upsert(parse_user(stub.get_user(noor)))
        assert list(answers) == ["noor@example.com"] * 8


def test_a_newer_webhook_that_comes_meanwhile_stands(
    stub: StubClerk, clerk: ClerkApi, users: UserBatches, noor: str, database_url: str
) -> None:
    """What Clerk answered is older by then, and the row is the newer one."""
    newer = parse_user(stub.get_user(noor))
    newer.first_name, newer.updated_at = "Newer", newer.updated_at + 60_000

    def come_first(_: StubRequest) -> None:
        with closing(Database(lambda: database_url)) as database:
            UserBatches(database).upsert(newer)

    stub.interfere = come_first
    assert ensure_user(users, clerk, noor)["first_name"] == "Newer"


@pytest.mark.parametrize("unknown", [user_id(404), "legacy-7", "../../v1/instance", ""])
def test_a_user_that_clerk_does_not_know_is_an_error_of_its_own(
    stub: StubClerk,
    clerk: ClerkApi,
    users: UserBatches,
    connection: psycopg.Connection,
    unknown: str,
) -> None:
    """What is no Clerk id is not even asked for, and nothing is written."""
    with untouched(connection), pytest.raises(UnknownUserError) as raised:
        ensure_user(users, clerk, unknown)
    assert isinstance(raised.value, NotAuthenticatedError)
    assert [r.path for r in stub.request_log] == (
        [f"/v1/users/{unknown}"] if unknown == user_id(404) else []
    )


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_response_does_not_make_a_user_unknown(
    stub: StubClerk, clerk: ClerkApi, users: UserBatches, noor: str, name: str
) -> None:
    """A proxy's 404 is a failure of the way to Clerk."""
    stub.fail_next(fault=FOREIGN[name], path="/v1/users/")
    with pytest.raises(ClerkUnavailableError):
        ensure_user(users, clerk, noor)
    assert ensure_user(users, clerk, noor)["id"] == noor


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
def test_a_user_deleted_meanwhile_is_not_revived(
    stub: StubClerk,
    clerk: ClerkApi,
    users: UserBatches,
    noor: str,
    database_url: str,
    *,
    soft: bool,
) -> None:
    """Clerk's answer may be older than the deletion."""

    def delete(_: StubRequest) -> None:
        with closing(Database(lambda: database_url)) as database:
            UserBatches(database, soft_delete=soft).delete([noor])

    stub.interfere = delete
    with pytest.raises(DeletedUserError):
        ensure_user(users, clerk, noor)
    assert users.find(noor) is None


def test_a_user_without_an_email_is_an_error_while_one_is_required(
    stub: StubClerk, clerk: ClerkApi, database: Database, users: UserBatches
) -> None:
    """Not with CLERKSYNC_REQUIRE_EMAIL=false: then it has a row."""
    clerk_id = stub.create_user(phone_number="+15555550100")["id"]
    with pytest.raises(MissingEmailError, match="no primary email address"):
        ensure_user(users, clerk, clerk_id)
    row = ensure_user(UserBatches(database, require_email=False), clerk, clerk_id)
    assert (row["id"], row["email"]) == (clerk_id, None)


def test_a_clerk_that_does_not_answer_is_an_error_of_its_own(
    stub: StubClerk, clerk: ClerkApi, users: UserBatches, noor: str
) -> None:
    """And one that refuses the key: that would not go away."""
    stub.fail_next(1, path="/v1/users", fault=Fault(status=503))
    with pytest.raises(ClerkUnavailableError):
        ensure_user(users, clerk, noor)
    stub.secret_key = "sk_test_another"
    with pytest.raises(ClerkRequestError, match="CLERK_SECRET_KEY"):
        ensure_user(users, clerk, noor)


def test_a_key_of_another_instance_than_the_tables_is_refused(
    stub: StubClerk,
    clerk: ClerkApi,
    users: UserBatches,
    noor: str,
    connection: psycopg.Connection,
) -> None:
    """Nothing is written, and Clerk is not asked for the user."""
    belongs_to(connection, "ins_other")
    with untouched(connection), pytest.raises(OtherInstanceTokenError) as refused:
        ensure_user(users, clerk, noor)
    assert refused.value.http_status == 401
    assert "ins_other" in str(refused.value.why)
    assert not any("users" in request.path for request in stub.request_log)


def test_whose_key_it_is_is_asked_once(
    stub: StubClerk, clerk: ClerkApi, users: UserBatches, connection: psycopg.Connection
) -> None:
    """For some minutes. Before the first run nobody asks."""
    belongs_to(connection, stub.instance_id)
    for number in range(3):
        user = stub.create_user(email=f"noor{number}@example.com")
        assert ensure_user(users, clerk, str(user["id"]))
    asked = [request.path for request in stub.request_log]
    assert asked.count("/v1/instance") == 1


def test_an_instance_named_in_the_settings_must_be_the_keys(
    clerk: ClerkApi, database: Database, noor: str, connection: psycopg.Connection
) -> None:
    """Before the first run, too."""
    users = UserBatches(database, only_instance="ins_other")
    with untouched(connection), pytest.raises(OtherInstanceTokenError):
        ensure_user(users, clerk, noor)
