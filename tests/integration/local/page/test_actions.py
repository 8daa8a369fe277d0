"""What the page can do at the stub Clerk, and that all of it goes the usual ways."""

from typing import Any

import jwt
import psycopg
import pytest

from tests.laptop import Laptop
from tests.tables import rows
from tests.terminal import eventually


@pytest.fixture
def noor(stub: Laptop) -> str:
    """A user who signed up at the page, and has a row."""
    body = {
        "email": "noor@example.com",
        "first_name": " Noor ",
        "last_name": "Castell",
    }
    clerk_id = done(stub, "sign-up", **body)["id"]
    assert stub.clerk.wait_for_deliveries(30)
    return str(clerk_id)


def done(stub: Laptop, action: str, **body: Any) -> Any:
    answer = stub.post(f"/page/{action}", body)
    assert answer.status == 200, answer.data
    return answer.json()


def refused(stub: Laptop, action: str, **body: Any) -> tuple[int, str]:
    answer = stub.post(f"/page/{action}", body)
    assert list(answer.json()) == ["error"]
    return answer.status, answer.json()["error"]


def answers(stub: Laptop) -> list[Any]:
    """What the webhooks were answered, the oldest first."""
    return [delivery["answer"] for delivery in stub.state()["deliveries"]][::-1]


def test_a_sign_up_arrives_by_webhook(
    stub: Laptop, noor: str, connection: psycopg.Connection
) -> None:
    """Without the blanks around a name."""
    assert rows(connection)[noor]["name"] == "Noor Castell"
    assert answers(stub) == ["created"]


def test_a_sign_up_may_be_without_email(stub: Laptop) -> None:
    """An empty field is none, as in a form."""
    user = done(stub, "sign-up", email="", first_name="", last_name=" ")["id"]
    assert stub.clerk.get_user(user)["email_addresses"] == []
    assert stub.clerk.get_user(user)["first_name"] is None


def test_changes_arrive_by_webhook(
    stub: Laptop, noor: str, connection: psycopg.Connection
) -> None:
    """Names and email, and in the end the deletion."""
    done(stub, "rename", id=noor, first_name="Nora", last_name="")
    done(stub, "email", id=noor, email="nora@example.com")
    assert stub.clerk.wait_for_deliveries(30)
    row = rows(connection)[noor]
    assert (row["name"], row["email"]) == ("Nora", "nora@example.com")
    done(stub, "delete", id=noor)
    assert stub.clerk.wait_for_deliveries(30)
    assert noor not in rows(connection)


def test_only_a_full_sync_finds_out_what_happened_behind_our_back(
    stub: Laptop, noor: str, connection: psycopg.Connection
) -> None:
    """An incremental one deletes nobody; the report is the answer."""
    done(stub, "delete", id=noor, behind_our_back=True)
    assert answers(stub) == ["created"]
    report = done(stub, "sync", mode="incremental")
    assert (report["status"], report["deleted"]) == ("completed", 0)
    assert noor in rows(connection)
    report = done(stub, "sync", mode="full")
    assert (report["status"], report["deleted"]) == ("completed", 1)
    assert noor not in rows(connection)


def test_what_is_held_back_arrives_when_it_is_released(
    stub: Laptop, noor: str, connection: psycopg.Connection
) -> None:
    """In the order in which it was sent."""
    done(stub, "hold")
    done(stub, "rename", id=noor, first_name="Second")
    done(stub, "rename", id=noor, first_name="Third")
    assert stub.state()["holding"]
    assert answers(stub) == ["created", None, None]
    assert rows(connection)[noor]["first_name"] == "Noor"
    done(stub, "release")
    assert stub.clerk.wait_for_deliveries(30)
    assert answers(stub) == ["created", "updated", "updated"]
    assert rows(connection)[noor]["first_name"] == "Third"
    assert not stub.state()["holding"]


def test_released_newest_first_the_older_comes_too_late(
    stub: Laptop, noor: str, connection: psycopg.Connection
) -> None:
    """And changes nothing."""
    done(stub, "hold")
    for name in ("Second", "Third", "Fourth"):
        done(stub, "rename", id=noor, first_name=name)
    done(stub, "release", newest_first=True)
    assert stub.clerk.wait_for_deliveries(30)
    assert answers(stub) == ["created", "unchanged", "unchanged", "updated"]
    assert rows(connection)[noor]["first_name"] == "Fourth"


def test_a_replay_is_the_same_message_again(stub: Laptop, noor: str) -> None:
    """Of a delivered one, and also of one that is held back: that is sent alone."""
    (created,) = stub.state()["deliveries"]
    done(stub, "replay", message_id=created["key"])
    assert stub.clerk.wait_for_deliveries(30)
    (replayed,) = stub.state()["deliveries"]
    assert (replayed["key"], replayed["attempts"]) == (created["key"], 2)
    assert replayed["answer"] == "unchanged"
    done(stub, "hold")
    done(stub, "rename", id=noor, first_name="Second")
    done(stub, "delete", id=noor)
    done(stub, "replay", message_id=stub.state()["deliveries"][0]["key"])
    assert eventually(lambda: answers(stub)[-1] == "deleted")
    done(stub, "release")
    assert stub.clerk.wait_for_deliveries(30)
    assert answers(stub) == ["unchanged", "skipped", "deleted"]


def test_a_tier_is_the_applications_and_stays(stub: Laptop, noor: str) -> None:
    """Neither a webhook nor a run takes it back."""
    done(stub, "tier", id=noor, tier="PRO")
    done(stub, "rename", id=noor, first_name="Nora")
    assert stub.clerk.wait_for_deliveries(30)
    done(stub, "sync")
    assert stub.user(noor)["row"]["tier"] == "PRO"


def test_a_token_is_of_the_session_that_is_named(stub: Laptop, noor: str) -> None:
    """And self-sync takes it."""
    token = done(stub, "token", id=noor, session_id="sess_mine")["token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["sub"], claims["sid"]) == (noor, "sess_mine")
    assert stub.self_sync(token) == 200


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("rename", {"id": "user_nobody", "first_name": "A"}),
        ("email", {"id": "user_nobody", "email": "a@example.com"}),
        ("delete", {"id": "user_nobody"}),
        ("tier", {"id": "user_nobody", "tier": "PRO"}),
        ("token", {"id": "user_nobody", "session_id": "sess_1"}),
        ("replay", {"message_id": "msg_none"}),
    ],
)
def test_what_is_not_there_is_said_to_be_missing(
    stub: Laptop, action: str, body: dict[str, Any]
) -> None:
    """404, with the reason."""
    assert refused(stub, action, **body)[0] == 404


@pytest.mark.parametrize(
    ("action", "body", "named"),
    [
        ("rename", {}, "id"),
        ("rename", {"id": "user_1", "first_name": 1}, "first_name"),
        ("email", {"id": "user_1", "email": " "}, "email"),
        ("sign-up", {"email": "a@example.com", "banned": True}, "banned"),
        ("sign-up", {"first_name": "x" * 501}, "first_name"),
        ("sync", {"mode": "cleanup"}, "mode"),
        ("sync", {"force": True}, "force"),
        ("hold", {"for": "ever"}, "for"),
    ],
)
def test_what_is_not_understood_is_refused(
    stub: Laptop, action: str, body: dict[str, Any], named: str
) -> None:
    """With the field at fault; nothing is done."""
    status, reason = refused(stub, action, **body)
    assert status == 400
    assert named in reason
    assert stub.clerk.users.changes == 0


def test_a_body_that_is_no_json_object_is_refused(stub: Laptop) -> None:
    """Whatever it is."""
    bodies: list[Any] = [[], "text", 1]
    for body in bodies:
        assert stub.post("/page/hold", body).status == 400


@pytest.mark.usefixtures("noor")
def test_an_email_in_use_is_refused_as_clerk_does(stub: Laptop) -> None:
    """422, at sign-up and afterwards."""
    status, reason = refused(stub, "sign-up", email="noor@example.com")
    assert status == 422
    assert "taken" in reason
    other = done(stub, "sign-up", email="other@example.com")["id"]
    assert refused(stub, "email", id=other, email="noor@example.com")[0] == 422


def test_a_run_that_cannot_be_is_said(
    stub: Laptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the function's own reason."""
    monkeypatch.setenv("CLERKSYNC_WORKERS", "many")
    status, reason = refused(stub, "sync")
    assert status == 503
    assert "CLERKSYNC_WORKERS" in reason
