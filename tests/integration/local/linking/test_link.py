"""clerksync link: which rows it links, and which it leaves to a person."""

from contextlib import closing

import pytest

from clerksync.bulk.job import ignore
from clerksync.postgres.database import Database
from clerksync.settings.environment import Settings
from local.linking.linker import Linker
from tests.integration.local.linking.conftest import Application
from tests.terminal import clerksync_here

pytestmark = pytest.mark.alters_schema


def found(
    application: Application, *arguments: str
) -> dict[str, tuple[str, list[str]]]:
    """Kind and users of each row, by the email of the row."""
    answer = application.json("link", "--show-emails", *arguments)
    return {row["email"]: (row["kind"], row["users"]) for row in answer["rows"]}


def test_rows_are_linked_by_verified_email_and_the_next_sync_adopts_them(
    application: Application,
) -> None:
    """The rows stay, with all that the application keeps in them."""
    noor = application.sign_up("noor@example.com")
    mira = application.sign_up("mira@example.com")
    application.insert("noor@example.com", "Mira@Example.com")
    text = application.run("link", "--yes")
    assert "Linked 2 rows. Next: clerksync sync" in text
    assert application.keys() == [noor, mira]
    report = application.json("sync")
    assert (report["created"], report["updated"], report["skipped"]) == (0, 2, 0)
    assert [(row["first"], row["notes"]) for row in application.rows()] == [
        ("Noor", "old"),
        ("Noor", "old"),
    ]
    assert application.json("status")["drift"] == 0


def test_without_yes_nothing_is_written(application: Application) -> None:
    """It says what it would do, and how to do it; no email is printed."""
    noor = application.sign_up("noor@example.com")
    application.insert("noor@example.com")
    text = application.run("link")
    assert "1 row matches one user.\n" in text
    assert f"row 1  {noor}\n" in text
    assert "Nothing was written. To link these rows: clerksync link --yes." in text
    assert "noor@example.com" not in text
    assert "noor@example.com" in application.run("link", "--show-emails")
    assert application.keys() == [None]


def test_an_unverified_email_links_nobody(application: Application) -> None:
    """Anybody can type any address."""
    noor = application.sign_up("noor@example.com", verified=False)
    application.insert("noor@example.com")
    assert found(application, "--yes") == {"noor@example.com": ("no_match", [noor])}
    assert "The user has not verified this email." in application.run("link")
    assert application.keys() == [None]


def test_an_unverified_user_does_not_make_a_verified_one_ambiguous(
    application: Application,
) -> None:
    """Or anybody could keep a row from being linked."""
    noor = application.sign_up("noor@example.com")
    other = application.sign_up("other@example.com", verified=False)
    application.readdress(other, email_address="Noor@example.com")
    application.insert("noor@example.com")
    assert found(application) == {"noor@example.com": ("link", [noor])}


def test_two_rows_of_one_user_are_ambiguous(application: Application) -> None:
    """A person must say which of the two is the user's."""
    noor = application.sign_up("noor@example.com")
    application.insert("noor@example.com", "NOOR@example.com")
    assert found(application, "--yes") == {
        "noor@example.com": ("ambiguous", [noor]),
        "NOOR@example.com": ("ambiguous", [noor]),
    }
    assert application.keys() == [None, None]


def test_two_users_of_one_row_are_ambiguous(application: Application) -> None:
    """Clerk does not allow it today; the table must not depend on that."""
    noor = application.sign_up("noor@example.com")
    other = application.sign_up("other@example.com")
    application.readdress(other, email_address="Noor@example.com")
    application.insert("noor@example.com")
    both = sorted([noor, other])
    assert found(application, "--yes") == {"noor@example.com": ("ambiguous", both)}


def test_a_user_who_already_has_a_row_is_ambiguous(application: Application) -> None:
    """The application has added a second one, in other letters."""
    noor = application.sign_up("noor@example.com")
    assert application.json("sync")["created"] == 1
    application.insert("Noor@Example.com")
    assert found(application, "--yes") == {"Noor@Example.com": ("ambiguous", [noor])}
    assert "The user already has a row" in application.run("link")


def test_a_user_who_was_deleted_meanwhile_is_not_linked(
    application: Application,
) -> None:
    """No live row is beside a tombstone."""
    noor = application.sign_up("noor@example.com")
    application.insert("noor@example.com")
    application.connection.execute(
        "INSERT INTO sync_state (clerk_id, deleted_at, synced_at)"
        " VALUES (%s, now(), now())",
        [noor],
    )
    assert application.json("link", "--yes")["linked"] == 0


def test_linked_rows_belong_to_the_instance_of_the_key(
    application: Application,
) -> None:
    """A key of a different instance would know none of them, and delete them."""
    application.sign_up("noor@example.com")
    application.insert("noor@example.com")
    application.run("link", "--yes")
    query = "SELECT mode, status, instance_id IS NOT NULL FROM sync_runs"
    runs = application.connection.execute(query).fetchall()
    assert runs == [("link", "completed", True)]


def test_a_deleted_row_comes_back_only_if_a_person_says_so(
    application: Application,
) -> None:
    """The application has deleted it for a reason."""
    noor = application.sign_up("noor@example.com")
    application.insert("noor@example.com")
    application.connection.execute("UPDATE members SET gone_at = now()")
    assert found(application, "--yes") == {"noor@example.com": ("ambiguous", [noor])}


def test_rows_with_a_key_of_another_kind_are_left_and_counted(
    application: Application,
) -> None:
    """Only empty keys are filled: the other ones mean something."""
    noor = application.sign_up("noor@example.com")
    application.insert("noor@example.com", clerk="legacy-7")
    application.insert("nobody@example.com", clerk="legacy-8")
    answer = application.json("link", "--yes")
    assert (answer["other_keys"], answer["linked"]) == (2, 0)
    ((kind, users),) = [(row["kind"], row["users"]) for row in answer["rows"]]
    assert (kind, users) == ("holds_email", [noor])
    text = application.run("link")
    assert "0 rows have no Clerk ID." in text
    assert "2 rows have a key that is not a Clerk ID." in text
    assert "1 row has a key of its own and the email of a Clerk user.\n  row 1" in text
    assert "ADD COLUMN clerk_id text UNIQUE" in text


def test_a_row_with_a_key_of_another_kind_keeps_no_other_row_from_its_link(
    application: Application,
) -> None:
    """It counts as no second row of the user."""
    noor = application.sign_up("noor@example.com")
    application.insert("Noor@example.com", clerk="legacy-7")
    application.insert("noor@example.com")
    answer = application.json("link")
    kinds = {row["kind"]: row["users"] for row in answer["rows"]}
    assert kinds == {"holds_email": [noor], "link": [noor]}


def test_rows_nobody_at_clerk_has_are_told(application: Application) -> None:
    """With the reason."""
    application.insert("nobody@example.com")
    assert found(application) == {"nobody@example.com": ("no_match", [])}
    assert "No Clerk user has this primary email." in application.run("link")


def test_an_email_too_long_for_the_column_matches_nothing(
    application: Application,
) -> None:
    """It is not cut off, and keeps no other row from being linked."""
    application.connection.execute(
        "ALTER TABLE members ALTER COLUMN email TYPE varchar(16)"
    )
    noor = application.sign_up("noor@example.com")
    application.sign_up("mira@example.com.invalid")
    application.insert("noor@example.com", "mira@example.com")
    assert found(application, "--yes") == {
        "noor@example.com": ("link", [noor]),
        "mira@example.com": ("no_match", []),
    }


def test_a_row_that_the_table_refuses_costs_that_row_only(
    application: Application,
) -> None:
    """It is named, and the command ends with 1."""
    application.sign_up("noor@example.com")
    mira = application.sign_up("mira@example.com")
    application.insert("noor@example.com", "mira@example.com")
    application.connection.execute(
        "ALTER TABLE members ADD CONSTRAINT closed CHECK (id <> 1 OR clerk IS NULL)"
    )
    text = application.run("link", "--yes", code=1)
    assert "Linked 1 row." in text
    assert "failed: row 1: SQLSTATE 23514 (members.closed)\n" in text
    assert application.keys() == [None, mira]


def test_a_row_that_was_changed_meanwhile_is_left(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the write, its email became another one."""
    application.sign_up("noor@example.com")
    mira = application.sign_up("mira@example.com")
    application.insert("noor@example.com", "mira@example.com")
    for name, value in application.settings.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    with (
        closing(Database.from_settings(settings)) as database,
        Linker.found(settings, database, ignore) as (linker, seen),
    ):
        application.connection.execute(
            "UPDATE members SET email = 'other@example.com' WHERE id = 1"
        )
        linker.link(seen)
    assert (seen.linked, seen.changed, seen.failures) == (1, 1, [])
    assert application.keys() == [None, mira]


def test_the_key_of_a_different_instance_is_refused(application: Application) -> None:
    """Its users are not the people of this table."""
    application.run("sync")
    application.insert("noor@example.com")
    application.settings["CLERKSYNC_INSTANCE_ID"] = "ins_other"
    application.run("link", "--yes", code=1)


def test_a_row_that_the_application_has_locked_costs_that_row_only(
    application: Application,
) -> None:
    """It is named with the reason, and nobody waits for long."""
    application.insert("noor@example.com", "mira@example.com")
    application.sign_up("noor@example.com")
    mira = application.sign_up("mira@example.com")
    with application.connection.transaction():
        lock = "SELECT FROM members WHERE email = 'noor@example.com' FOR UPDATE"
        application.connection.execute(lock)
        assert application.json("link", "--yes", code=1)["linked"] == 1
    assert application.keys() == [None, mira]


def test_a_table_that_the_application_has_locked_ends_the_command(
    application: Application,
) -> None:
    """Fewer rows would not help. Without writes, the table can still be read."""
    application.insert("noor@example.com", "mira@example.com")
    application.sign_up("noor@example.com")
    application.sign_up("mira@example.com")
    with application.connection.transaction():
        application.connection.execute("LOCK TABLE members IN SHARE MODE")
        done = clerksync_here(
            "link", "--yes", cwd=application.folder, **application.settings
        )
    assert done.returncode == 1
    assert "Another transaction has locked the table." in done.stderr
    assert application.keys() == [None, None]
