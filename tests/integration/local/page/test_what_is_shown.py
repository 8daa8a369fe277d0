"""What the page is told: users beside each other, deliveries, self-syncs, runs."""

import psycopg
import pytest

from tests.laptop import Laptop
from tests.tables import rows
from tests.terminal import eventually


def delivered(stub: Laptop) -> None:
    assert stub.clerk.wait_for_deliveries(30)


def test_a_user_in_step_is_the_same_on_both_sides(stub: Laptop) -> None:
    """Name, email and version of Clerk beside those of the table; tier and bucket."""
    user = stub.clerk.create_user(
        email="noor@example.com", first_name="Noor", last_name="Castell"
    )
    delivered(stub)
    assert stub.user(user["id"]) == {
        "key": user["id"],
        "standing": "in step",
        "version": user["updated_at"],
        "deleted_at": None,
        "skipped": None,
        "clerk": {
            "name": "Noor Castell",
            "email": "noor@example.com",
            "version": user["updated_at"],
        },
        "row": {
            "name": "Noor Castell",
            "email": "noor@example.com",
            "tier": "FREE",
            "bucket": "full",
        },
        "differs": [],
    }


def test_what_a_webhook_would_have_told_is_seen_to_be_missing(stub: Laptop) -> None:
    """No row, a row behind, and a row whose user is gone from Clerk."""
    stub.clerk.sender.hold()
    new = stub.clerk.create_user(email="new@example.com")["id"]
    assert stub.user(new)["standing"] == "no row"
    assert stub.user(new)["row"] is None
    stub.clerk.sender.release()
    delivered(stub)
    old_version = stub.user(new)["version"]
    stub.clerk.update_user(new, first_name="New", notify=False)
    shown = stub.user(new)
    assert (shown["standing"], shown["version"]) == ("behind", old_version)
    assert shown["clerk"]["version"] > old_version
    assert shown["differs"] == ["version", "name"]
    stub.clerk.delete_user(new, notify=False)
    shown = stub.user(new)
    assert shown["standing"] == "orphan"
    assert "clerk" not in shown


def test_a_deleted_user_is_a_tombstone(stub: Laptop) -> None:
    """With the moment of its deletion, and nothing else."""
    user = stub.clerk.create_user(email="new@example.com")["id"]
    stub.clerk.delete_user(user)
    delivered(stub)
    shown = stub.user(user)
    assert (shown["standing"], shown["row"]) == ("deleted", None)
    assert shown["deleted_at"]
    assert stub.state()["counts"]["tombstones"] == 1


def test_a_user_without_email_is_skipped(stub: Laptop) -> None:
    """There is a reason for the missing row, and it is given."""
    user = stub.clerk.create_user(first_name="Noor")["id"]
    delivered(stub)
    shown = stub.user(user)
    assert shown["standing"] == "skipped"
    assert shown["skipped"]


def test_an_email_that_changed_hands_is_seen(stub: Laptop) -> None:
    """Who lost it is at Clerk's version, and yet not in step."""
    first = stub.clerk.create_user(email="shared@example.com")["id"]
    delivered(stub)
    stub.clerk.update_user(first, email="other@example.com", notify=False)
    second = stub.clerk.create_user(email="shared@example.com")["id"]
    delivered(stub)
    assert stub.user(second)["standing"] == "in step"
    assert stub.user(first)["row"]["email"] is None
    assert stub.user(first)["standing"] == "behind"


def test_a_soft_deleted_row_is_none(
    stub: Laptop, monkeypatch: pytest.MonkeyPatch, connection: psycopg.Connection
) -> None:
    """It is in the table, emptied; for the page the user is deleted."""
    monkeypatch.setenv("CLERKSYNC_DELETE_MODE", "soft")
    user = stub.clerk.create_user(email="new@example.com")["id"]
    delivered(stub)
    stub.clerk.delete_user(user)
    delivered(stub)
    assert user in rows(connection)
    assert stub.user(user)["standing"] == "deleted"
    assert stub.state()["counts"]["table"] == 0


def test_the_newest_change_comes_first_and_fifty_are_enough(
    stub: Laptop, connection: psycopg.Connection
) -> None:
    """Of all users, at Clerk or only in the table; the counts are of all."""
    for number in range(60):
        stub.clerk.create_user(email=f"many{number}@example.org", notify=False)
    stub.sync_all()
    oldest = stub.clerk.ids()[0]
    stub.clerk.update_user(oldest, first_name="Changed")
    delivered(stub)
    state = stub.state()
    assert len(state["users"]) == 50
    assert state["users"][0]["key"] == oldest
    assert state["counts"]["clerk"] == 63
    assert state["counts"]["table"] == len(rows(connection))


@pytest.mark.parametrize(
    "search", ["CASTELL", "noor castell", "oor@exam", "{id}", " Castell "]
)
def test_users_are_found_by_name_email_and_id(stub: Laptop, search: str) -> None:
    """In any case of letters; whether Clerk, the table or both have them."""
    found = stub.clerk.create_user(
        email="noor@example.com", first_name="Noor", last_name="Castell"
    )["id"]
    for number in range(60):
        stub.clerk.create_user(email=f"other{number}@example.org", notify=False)
    delivered(stub)
    search = search.format(id=found[5:].lower())
    assert [u["key"] for u in stub.state(search)["users"]] == [found]
    stub.clerk.delete_user(found, notify=False)
    assert [u["key"] for u in stub.state(search)["users"]] == [found]


@pytest.mark.parametrize("search", ["nobody", "%", "'", '"', "\\", "\0nobody", "%00"])
def test_a_search_that_finds_nobody_is_an_empty_list(stub: Laptop, search: str) -> None:
    """No character means anything but itself."""
    stub.sync_all()
    assert stub.state(search)["users"] == []


def test_deliveries_tell_what_became_of_them(stub: Laptop) -> None:
    """The newest first: event, user, tries, status and what was answered."""
    user = stub.clerk.create_user(email="new@example.com")["id"]
    delivered(stub)
    stub.clerk.sender.hold()
    stub.clerk.update_user(user, first_name="New")
    held, done = stub.state()["deliveries"]
    assert (held["type"], held["standing"]) == ("user.updated", "held")
    assert (held["attempts"], held["status"], held["answer"]) == (0, None, None)
    assert (done["type"], done["user_id"]) == ("user.created", user)
    assert (done["attempts"], done["status"]) == (1, 200)
    assert (done["standing"], done["answer"]) == ("delivered", "created")
    stub.clerk.webhook_signing_secret = "whsec_c29tZWJvZHkgZWxzZSdzIHNlY3JldA=="
    stub.clerk.sender.release()
    assert eventually(lambda: bool(stub.clerk.deliveries[1].attempts))
    (retried,) = stub.state()["deliveries"][:1]
    assert (retried["standing"], retried["status"]) == ("retrying", 400)
    assert "signature" in retried["answer"]


def test_self_syncs_are_told_with_status_and_user(stub: Laptop) -> None:
    """Whoever sent them; a refusal says why."""
    user = stub.clerk.ids()[0]
    token = stub.clerk.session_token(user)
    assert stub.self_sync(token) == 200
    assert stub.self_sync("nonsense", "/api/user/sync") == 401
    stub.get("/api/users/me", authorization=f"Bearer {token}")
    refused, done = stub.state()["self_syncs"]
    assert (done["status"], done["user_id"], done["error"]) == (200, user, None)
    assert (refused["status"], refused["user_id"]) == (401, None)
    assert "Not authenticated" in refused["error"]


def test_runs_are_those_of_the_ledger(stub: Laptop) -> None:
    """The newest first, each with its report."""
    stub.sync_all()
    stub.post("/page/sync", {"mode": "incremental"})
    newest, oldest = stub.state()["runs"]
    assert (newest["mode"], newest["status"]) == ("incremental", "completed")
    assert (oldest["mode"], oldest["dry_run"]) == ("full", False)
    assert oldest["report"]["fetched"] == 3


def test_a_user_is_compared_column_by_column(
    stub: Laptop, connection: psycopg.Connection
) -> None:
    """Times and metadata in one form on both sides; what is the application's own
    comes from the table alone."""
    user = stub.clerk.create_user(
        email="noor@example.com", first_name="Noor", public_metadata={"plan": ["a"]}
    )
    delivered(stub)
    connection.execute("UPDATE users SET tier = 'PRO'")
    answer = stub.get(f"/page/user?id={user['id']}").json()
    fields = {field["name"]: field for field in answer["fields"]}
    assert answer["problem"] is None
    assert answer["given"]["email"] == "noor@example.com"
    for name in ("version", "email", "public_metadata", "clerk_created_at", "banned"):
        assert fields[name]["clerk"] == fields[name]["table"] is not None, name
    assert fields["tier"] == {
        "name": "tier",
        "clerk": None,
        "table": "PRO",
        "own": True,
    }


def test_a_user_is_compared_although_clerk_does_not_answer(stub: Laptop) -> None:
    """The table's side is there, and the reason for the missing one."""
    stub.sync_all()
    stub.clerk.fail_next(10, status=500, retry_after=None)
    user = stub.clerk.ids()[0]
    answer = stub.get(f"/page/user?id={user}").json()
    assert "Clerk" in answer["problem"]
    assert any(field["table"] for field in answer["fields"])


@pytest.mark.parametrize("key", ["1", "user_'", "org_2g7np7Hrk0SN6kj5EDMLDaKNL0S"])
def test_what_is_no_clerk_id_is_not_asked_for(
    stub: Laptop, connection: psycopg.Connection, key: str
) -> None:
    """Such a row is the application's own, and is shown without Clerk's side."""
    connection.execute(
        "INSERT INTO users (id, email) VALUES (%s, 'own@example.com')", [key]
    )
    stub.clerk.reset_requests()
    answer = stub.get(f"/page/user?id={key}").json()
    fields = {field["name"]: field["table"] for field in answer["fields"]}
    assert fields["email"] == "own@example.com"
    assert answer["given"] is None
    assert stub.clerk.requests == 0


def test_nobody_at_all_is_refused(stub: Laptop) -> None:
    """A question without an id."""
    assert stub.get("/page/user").status == 400
