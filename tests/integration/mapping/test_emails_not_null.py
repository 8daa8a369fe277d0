"""Where no row may be without an email: what can be solved, and what cannot."""

from typing import Any

import pytest

from local.stub_clerk.faults import Fault
from tests.doors import log_lines
from tests.integration.mapping.application import Application


@pytest.fixture(scope="module")
def preset() -> str:
    return "prisma"


def own_row(application: Application, email: str) -> None:
    """A row of the application, of nobody whom Clerk knows."""
    application.connection.execute(
        'INSERT INTO users (id, email, name, "updatedAt")'
        " VALUES ('own', %s, 'Own', now())",
        [email],
    )


def stored(application: Application) -> tuple[Any, ...]:
    """What the tables hold, whoever had a row locked."""
    states = application.connection.execute(
        "SELECT * FROM clerksync.sync_state ORDER BY clerk_id"
    ).fetchall()
    return application.rows(), application.companions(), states


def conflicts(report: dict[str, Any]) -> tuple[str, int, int]:
    return report["status"], report["email_conflicts"], report["failed"]


def test_a_row_of_the_application_keeps_its_email(
    application: Application, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever wants it at Clerk gets no row, is told in the report, and is not tried
    anew with each run."""
    own_row(application, "shared@example.com")
    user = application.clerk.create_user(email="shared@example.com", notify=False)
    assert application.notify("user.created", user) == "skipped"
    assert list(application.rows()) == [None]
    report = application.bulk_sync()
    assert conflicts(report)[0] == "completed"
    (line,) = log_lines(capsys.readouterr().out, "another row holds the email")
    assert line["clerk_id"] == user["id"]
    before = application.footprint()
    assert application.notify("user.updated", user) == "skipped"
    assert application.footprint() == before
    answer = application.browser(user["id"])
    assert (answer.status, answer.error) == (
        400,
        "Another row here holds the user's email address.",
    )
    application.connection.execute("DELETE FROM users")
    assert application.notify("user.updated", user) == "created"


def test_a_user_who_wants_such_an_email_keeps_the_old_one(
    application: Application,
) -> None:
    """All else is written; a second time nothing is."""
    own_row(application, "shared@example.com")
    user = application.sign_up("noor@example.com", first_name="Noor")
    changed = application.clerk.update_user(
        user["id"], email="shared@example.com", first_name="New", notify=False
    )
    assert application.notify("user.updated", changed) == "updated"
    row = application.row(user)
    assert (row["email"], row["name"]) == ("noor@example.com", "New")
    before = application.footprint()
    assert application.notify("user.updated", changed) == "unchanged"
    assert application.footprint() == before


def test_a_user_who_lost_the_email_keeps_it_here(application: Application) -> None:
    """There is nothing else to write. Who gets it at Clerk waits, and is told of, until
    that user is gone."""
    clerk = application.clerk
    holder = application.sign_up("shared@example.com", first_name="Noor")
    without = clerk.update_user(
        holder["id"], email=None, first_name="New", notify=False
    )
    assert application.notify("user.updated", without) == "updated"
    row = application.row(holder)
    assert (row["email"], row["name"]) == ("shared@example.com", "New")
    before = application.footprint()
    assert application.notify("user.updated", without) == "unchanged"
    assert application.footprint() == before
    heir = clerk.create_user(email="shared@example.com", notify=False)
    assert application.notify("user.created", heir) == "skipped"
    report = application.bulk_sync()
    assert conflicts(report) == ("completed", 1, 0)
    assert "another row holds the email" in report["reason"]
    clerk.delete_user(holder["id"])
    assert application.bulk_sync()["deleted"] == 1
    application.bulk_sync()
    application.assert_equals_clerk()


def test_an_old_claim_that_arrives_late_changes_nothing(
    application: Application,
) -> None:
    """The holder is asked for, and has it still: the event was older."""
    clerk = application.clerk
    first = application.sign_up("first@example.com")
    clerk.update_user(first["id"], email="shared@example.com", notify=False)
    late = clerk.get_user(first["id"])
    clerk.update_user(first["id"], email="third@example.com", notify=False)
    second = clerk.create_user(email="shared@example.com", notify=False)
    assert application.notify("user.created", second) == "created"
    application.notify("user.updated", late)
    assert application.row(second)["email"] == "shared@example.com"
    application.notify("user.updated", clerk.get_user(first["id"]))
    application.assert_equals_clerk()


def test_a_chain_longer_than_one_unit_of_work_ends_with_bulk_sync(
    application: Application,
) -> None:
    """Each took the address of the one before; only the last one's news arrives."""
    clerk = application.clerk
    users = [application.sign_up(f"user{n}@example.com") for n in range(12)]
    clerk.update_user(users[0]["id"], email="new@example.com", notify=False)
    for number in range(1, 12):
        clerk.update_user(
            users[number]["id"], email=f"user{number - 1}@example.com", notify=False
        )
    application.notify("user.updated", clerk.get_user(users[-1]["id"]))
    report = application.bulk_sync()
    assert conflicts(report) == ("completed", 0, 0)
    application.assert_equals_clerk()


def test_a_holder_that_a_foreign_key_keeps_is_left_alone(
    application: Application, capsys: pytest.CaptureFixture[str]
) -> None:
    """Clerk no longer knows it, and the application still needs it."""
    holder = application.sign_up("shared@example.com")
    application.connection.execute(
        "CREATE TABLE posts (author text CONSTRAINT by_author REFERENCES users)"
    )
    try:
        application.connection.execute("INSERT INTO posts SELECT id FROM users")
        application.clerk.delete_user(holder["id"], notify=False)
        heir = application.clerk.create_user(email="shared@example.com", notify=False)
        assert application.notify("user.created", heir) == "skipped"
        (line,) = log_lines(capsys.readouterr().out, "user not deleted")
        assert line["constraint"] == "by_author"
        assert list(application.rows()) == [holder["id"]]
    finally:
        application.connection.execute("DROP TABLE posts")
    assert application.notify("user.created", heir) == "created"
    application.assert_equals_clerk()


def test_a_clerk_that_cannot_be_asked_leaves_all_as_it_is(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own webhook is answered with an error, and comes again."""
    monkeypatch.setattr("clerksync.clerk.retry._BACKOFF_SECONDS", 0.001)
    clerk = application.clerk
    holder = application.sign_up("shared@example.com")
    clerk.update_user(holder["id"], email="other@example.com", notify=False)
    heir = clerk.create_user(email="shared@example.com", notify=False)
    before = application.footprint()
    clerk.fail_next(20, fault=Fault(status=500))
    assert application.status("user.created", heir) == 503
    assert application.footprint() == before
    clerk.reset_faults()
    monkeypatch.delenv("CLERK_SECRET_KEY")
    assert application.status("user.created", heir) == 500
    monkeypatch.setenv("CLERK_SECRET_KEY", clerk.secret_key)
    assert application.notify("user.created", heir) == "created"
    application.assert_equals_clerk()


def test_a_dry_run_writes_nothing(application: Application) -> None:
    """A swap and an address of somebody who is gone."""
    clerk = application.clerk
    users = [application.sign_up(f"user{n}@example.com") for n in range(12)]
    clerk.delete_user(users[0]["id"])
    clerk.create_user(email="user0@example.com")
    before = stored(application)
    report = application.bulk_sync(dry_run=True)
    assert report["status"] == "completed"
    assert stored(application) == before


def test_a_holder_that_cannot_be_read_costs_nobody_but_the_claim(
    application: Application,
) -> None:
    """Whoever wants the email waits until the holder can be read, and all others are
    synced."""
    holder = application.sign_up("shared@example.com")
    application.clerk.update_user(holder["id"], email="new@example.com", notify=False)
    odd = application.clerk.get_user(holder["id"]) | {"first_name": 17}
    application.clerk.users.replace(odd)
    user = application.clerk.create_user(email="shared@example.com", notify=False)
    other = application.clerk.create_user(email="other@example.com", notify=False)
    assert application.notify("user.created", user) == "skipped"
    report = application.bulk_sync()
    assert (report["status"], report["failed"]) == ("partial", 1)
    assert application.row(other)["email"] == "other@example.com"
    assert application.row(holder)["email"] == "shared@example.com"
    application.clerk.users.replace(odd | {"first_name": "Noor"})
    assert application.bulk_sync()["status"] == "completed"
    assert application.row(holder)["email"] == "new@example.com"
    assert application.row(user)["email"] == "shared@example.com"
