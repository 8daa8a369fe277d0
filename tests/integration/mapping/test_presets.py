"""Every table that comes with a preset: all doors, deletion, email hand-over, bulk."""

import re
from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import UUID

import pytest

from tests.integration.mapping.application import Application


def test_a_sign_up_fills_the_mapped_columns(application: Application) -> None:
    """By webhook: with its companions, and once however often it is delivered."""
    user = application.sign_up(
        "noor@example.com", first_name="Noor", last_name="Castell"
    )
    application.assert_equals_clerk()
    assert len(application.companions()) == len(application.mapping.companions)
    before = application.footprint()
    assert application.notify("user.created", user) == "unchanged"
    assert application.footprint() == before


def test_an_update_changes_what_changed_and_keeps_the_rest(
    application: Application,
) -> None:
    """The row's own id, its birth and its companions stay; updated_at moves on."""
    user = application.sign_up("noor@example.com", first_name="Noor")
    before, companions = application.row(user), application.companions()
    renamed = application.clerk.update_user(user["id"], first_name="N", notify=False)
    assert application.notify("user.updated", renamed) == "updated"
    application.assert_equals_clerk()
    after, mapping = application.row(user), application.mapping
    assert application.companions() == companions
    kept = [mapping.created_at, mapping.tier]
    if mapping.own_id:
        kept.append(mapping.own_id.column)
    assert [after[name] for name in kept if name] == [
        before[name] for name in kept if name
    ]
    assert mapping.updated_at is not None
    assert after[mapping.updated_at] > before[mapping.updated_at]


def test_times_are_written_in_utc(application: Application) -> None:
    """Also in columns without a time zone, on a server that is elsewhere."""
    user = application.sign_up("noor@example.com")
    row, mapping = application.row(user), application.mapping
    assert mapping.created_at
    assert mapping.updated_at
    for name in (mapping.created_at, mapping.updated_at):
        assert abs(row[name] - datetime.now(tz=UTC)) < timedelta(minutes=5)
    shown = application.browser(user["id"], "GET", "me").body["user"]
    assert datetime.fromisoformat(shown[mapping.updated_at]) == row[mapping.updated_at]


def test_the_browser_gets_its_row_before_any_webhook(application: Application) -> None:
    """What sync knows of the user and the table's own id, and no other column."""
    user = application.clerk.create_user(email="noor@example.com", notify=False)
    answer = application.browser(user["id"])
    assert answer.status == 200
    assert list(answer.body["user"]) == application.mapping.shown
    assert answer.body["user"][application.mapping.key] == user["id"]
    application.assert_equals_clerk()
    assert application.notify("user.created", user) == "unchanged"


def test_a_generated_id_is_of_its_kind(application: Application) -> None:
    """Unique, and as the application's own code would have made it."""
    for number in range(3):
        application.sign_up(f"user{number}@example.com")
    own_id = application.mapping.own_id
    if own_id is None:
        return
    ids = [row[own_id.column] for row in application.rows().values()]
    assert len(set(ids)) == 3
    for generated in ids:
        match own_id.generated:
            case "cuid":
                assert re.fullmatch("c[0-9a-z]{24}", generated)
            case "uuid4" | "uuid7":
                assert UUID(str(generated)).version == int(own_id.generated[-1])


def test_a_deletion_takes_the_row_and_what_was_made_with_it(
    application: Application,
) -> None:
    """And no late event brings the user back."""
    user = application.sign_up("noor@example.com")
    application.clerk.delete_user(user["id"], notify=False)
    assert application.notify("user.deleted", user["id"]) == "deleted"
    assert application.rows() == {}
    assert application.companions() == []
    assert application.notify("user.updated", user) == "skipped"
    assert application.browser(user["id"]).status == 401
    assert application.rows() == {}


def test_bulk_sync_makes_the_table_equal_to_clerk(application: Application) -> None:
    """Then finds nothing to do, then an orphan and a change that were missed."""
    clerk = application.clerk
    for number in range(30):
        clerk.create_user(email=f"user{number}@example.com", first_name=f"N{number}")
    clerk.create_user(phone_number="+15005550006")
    report = application.bulk_sync()
    assert (report["status"], report["created"], report["skipped"]) == (
        "completed",
        30,
        1,
    )
    application.assert_equals_clerk()
    companions = application.companions()
    assert len(companions) == 30 * len(application.mapping.companions)
    before = application.footprint()
    report = application.bulk_sync()
    assert (report["status"], report["unchanged"]) == ("completed", 30)
    assert application.footprint() == before
    gone, changed, *_ = sorted(application.rows())
    clerk.delete_user(gone)
    clerk.update_user(changed, last_name="Changed")
    report = application.bulk_sync()
    assert (report["status"], report["updated"], report["deleted"]) == (
        "completed",
        1,
        1,
    )
    application.assert_equals_clerk()


def test_companions_that_are_missing_are_made_by_bulk_sync(
    application: Application,
) -> None:
    """For users who were there before clerksync, once."""
    application.sign_up("noor@example.com")
    before = application.companions()
    for companion in application.mapping.companions:
        application.connection.execute(f"DELETE FROM {companion.table}".encode())
    application.bulk_sync()
    assert application.companions() == before
    application.bulk_sync()
    assert application.companions() == before


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_cycle_of_emails_ends_as_at_clerk_in_any_order(
    application: Application, order: tuple[int, ...]
) -> None:
    """Each took the address of the next; the news arrives one by one."""
    clerk = application.clerk
    users = [application.sign_up(f"user{n}@example.com") for n in range(3)]
    clerk.update_user(users[0]["id"], email="aside@example.com", notify=False)
    for number in (2, 1):
        target = f"user{(number + 1) % 3}@example.com"
        clerk.update_user(users[number]["id"], email=target, notify=False)
    clerk.update_user(users[0]["id"], email="user1@example.com", notify=False)
    for number in order:
        application.notify("user.updated", clerk.get_user(users[number]["id"]))
    application.assert_equals_clerk()


def test_an_address_moves_from_a_deleted_user_to_a_new_one(
    application: Application,
) -> None:
    """Before anybody has heard of the deletion."""
    old = application.sign_up("shared@example.com")
    application.clerk.delete_user(old["id"], notify=False)
    new = application.clerk.create_user(email="shared@example.com", notify=False)
    assert application.notify("user.created", new) == "created"
    application.notify("user.deleted", old["id"])
    application.assert_equals_clerk()


def test_bulk_sync_hands_emails_over_too(application: Application) -> None:
    """A swap, and an address of somebody who is gone, in one run."""
    clerk = application.clerk
    users = [application.sign_up(f"user{n}@example.com") for n in range(12)]
    first, second, gone = (user["id"] for user in users[:3])
    clerk.update_user(first, email="aside@example.com")
    clerk.update_user(second, email="user0@example.com")
    clerk.update_user(first, email="user1@example.com")
    clerk.delete_user(gone)
    clerk.create_user(email="user2@example.com")
    report = application.bulk_sync()
    assert (report["status"], report["failed"]) == ("completed", 0)
    application.assert_equals_clerk()
    assert report["fetched"] == sum(
        report[name] for name in ("created", "updated", "unchanged", "skipped")
    )
