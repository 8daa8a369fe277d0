"""Users whose email a row without a Clerk ID holds: every look at them says so."""

import json

import pytest

from tests.integration.local.linking.conftest import Application

pytestmark = pytest.mark.alters_schema

HELD = "2 users are held back: a row without their Clerk ID has their email."


def doctor(application: Application) -> tuple[str, str]:
    """What it finds about links."""
    findings = application.json("doctor", code=application.expected_code)["findings"]
    (finding,) = (f for f in findings if f["check"] == "links")
    return finding["level"], finding["message"]


def test_users_that_are_held_back_are_reported_until_their_rows_are_linked(
    application: Application,
) -> None:
    """By the run, by status and by doctor; each says what to do."""
    for name in ("noor", "mira", "ada"):
        application.sign_up(f"{name}@example.com")
    application.insert("noor@example.com", "mira@example.com")
    level, message = doctor(application)
    assert (level, "clerksync link" in message) == ("warning", True)
    report = application.json("sync")
    assert (report["status"], report["created"]) == ("completed", 1)
    assert (report["skipped"], report["held_back"]) == (2, 2)
    assert report["reason"].startswith(f"{HELD} Run clerksync link")
    again = application.json("sync")
    assert (again["held_back"], again["reason"]) == (2, report["reason"])
    status = application.json("status")
    assert (status["drift"], status["unlinked"]) == (2, 2)
    assert "run clerksync link" in application.run("status")
    application.expected_code = 1
    level, message = doctor(application)
    assert (level, message.startswith(HELD)) == ("wrong", True)
    application.run("link", "--yes")
    report = application.json("sync")
    assert (report["held_back"], report["reason"]) == (0, None)
    assert application.json("status")["drift"] == 0
    application.expected_code = 0
    assert doctor(application)[0] == "ok"


def test_where_an_email_may_be_null_no_second_row_is_made_either(
    application: Application,
) -> None:
    """The row can still be linked after a sync that came too early."""
    application.make("text UNIQUE")
    noor = application.sign_up("noor@example.com")
    application.insert("noor@example.com")
    report = application.json("sync")
    assert (report["created"], report["skipped"], report["held_back"]) == (0, 1, 1)
    assert application.json("status")["drift"] == 1
    application.expected_code = 1
    assert doctor(application)[0] == "wrong"
    application.expected_code = 0
    (row,) = application.json("link", "--yes")["rows"]
    assert (row["kind"], row["users"]) == ("link", [noor])
    report = application.json("sync")
    assert (report["created"], report["updated"], report["held_back"]) == (0, 1, 0)


def test_a_user_with_two_rows_is_an_error_of_doctor(application: Application) -> None:
    """The application has added one in other letters, which no index refused."""
    application.sign_up("noor@example.com")
    assert application.json("sync")["created"] == 1
    application.insert("Noor@Example.com")
    application.expected_code = 1
    level, message = doctor(application)
    assert level == "wrong"
    assert message.startswith("1 row without a Clerk ID: the email belongs to a synced")
    assert "Run clerksync link" in message


def test_rows_that_hold_nobody_back_are_none_of_our_business(
    application: Application,
) -> None:
    """Administrators, guests: the application's own, once a run has seen everybody."""
    application.sign_up("noor@example.com")
    application.insert("admin@example.com", clerk="legacy-7")
    application.run("sync")
    told = "1 row without a Clerk ID: nobody is held back."
    assert doctor(application) == ("ok", told)


def test_a_dry_run_names_everybody_and_writes_only_to_the_ledger(
    application: Application,
) -> None:
    """Who would be created, updated, deleted or held back; the file has all."""
    first, second, third = (
        application.sign_up(f"user{n}@example.com") for n in range(3)
    )
    application.run("sync")
    application.clerk.delete_user(first)
    application.clerk.update_user(second, first_name="Renamed", notify=False)
    new = [application.sign_up(f"new{n}@example.com") for n in range(25)]
    held = application.sign_up("held@example.com")
    application.insert("held@example.com")
    before = application.rows()
    text = application.run("sync", "--dry-run", "--out", "changes.jsonl")
    assert f"1 user would be updated.\n  {second}  first\n" in text
    assert f"1 user would be deleted.\n  {first}\n" in text
    assert "1 user would be held back: a row without" in text
    assert f"\n  {held}\n" in text
    assert "25 users would be created.\n" in text
    assert "… and 5 more: --out FILE or --json has all.\n" in text
    assert "it wrote nothing except its own line in sync_runs" in text
    assert third not in text
    changes = application.json("sync", "--dry-run")["changes"]
    lines = (application.folder / "changes.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == changes
    assert {c["id"] for c in changes if c["action"] == "created"} == set(new)
    assert application.rows() == before
    sequence = "SELECT last_value FROM members_id_seq"
    (value,) = application.connection.execute(sequence).fetchone() or (None,)
    assert value == len(before)


def test_a_file_for_changes_needs_a_dry_run(application: Application) -> None:
    """A real run has no such list."""
    application.run("sync", "--out", "changes.jsonl", code=2)
    assert application.rows() == []
