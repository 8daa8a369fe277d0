"""A person sees the three doors at work."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.desk import Desk
from tests.laptop import Laptop, laptop


@pytest.fixture
def unbuilt(
    monkeypatch: pytest.MonkeyPatch, database_url: str, tmp_path: Path
) -> Iterator[Laptop]:
    """As on a machine without Node.js."""
    monkeypatch.setattr("local.page.routes.SIGN_IN", tmp_path / "signin.js")
    with laptop(monkeypatch, database_url) as served:
        yield served


def test_a_sign_up_becomes_a_row_by_webhook(desk: Desk) -> None:
    """It appears on both sides, flashes, and the delivery says what was answered."""
    desk.sign_up("Ada", "ada@example.com")
    row = desk.user("ada@example.com")
    desk.stands("ada@example.com", "in step")
    expect(row.get_by_role("cell", name="ada@example.com", exact=True)).to_have_count(2)
    expect(row).to_contain_text("FREE")
    expect(row).to_have_class("changed")
    expect(desk.deliveries).to_have_count(1)
    expect(desk.deliveries.first).to_contain_text("user.created")
    expect(desk.deliveries.first).to_contain_text("200 created")
    expect(desk.page.locator("#changes")).to_have_text("Ada: in step")
    expect(desk.page.locator("#counts")).to_contain_text("Clerk 4")


@pytest.mark.usefixtures("hook")
def test_signing_in_does_not_wait_for_the_webhook(desk: Desk) -> None:
    """Webhooks are held back; the real hook posts, and the row is there."""
    desk.press("Hold back")
    desk.sign_up("Ada", "ada@example.com")
    desk.stands("ada@example.com", "no row")
    expect(desk.deliveries.first).to_contain_text("held")
    desk.do("ada@example.com", "Sign in")
    desk.stands("ada@example.com", "in step")
    expect(desk.page.locator("#session")).to_have_text("Signed in as Ada")
    expect(desk.said).to_contain_text("Ada synced by the hook")
    expect(desk.self_syncs).to_have_count(1)
    expect(desk.self_syncs.first).to_contain_text("200")
    expect(desk.deliveries.first).to_contain_text("held")
    desk.press("Release in order")
    expect(desk.deliveries.first).to_contain_text("200 unchanged")


@pytest.mark.usefixtures("hook")
def test_a_session_is_synced_once_however_often_the_page_is_opened(
    desk: Desk, stub: Laptop, tab: Callable[[Laptop], Desk]
) -> None:
    """Two tabs, one of them opened anew: one post. The next sign-in posts again."""
    other = tab(stub)
    desk.sign_up("Ada", "ada@example.com")
    desk.do("ada@example.com", "Sign in")
    for one in (desk, other):
        expect(one.page.locator("#session")).to_have_text("Signed in as Ada")
        expect(one.self_syncs).to_have_count(1)
    other.page.reload()
    other.is_live()
    expect(other.page.locator("#session")).to_have_text("Signed in as Ada")
    other.press("Sign out")
    for one in (desk, other):
        expect(one.page.locator("#session")).to_have_text("Nobody is signed in.")
    assert len(stub.state()["self_syncs"]) == 1
    other.do("ada@example.com", "Sign in")
    for one in (desk, other):
        expect(one.self_syncs).to_have_count(2)


@pytest.mark.usefixtures("hook")
def test_a_session_ends_with_its_user(desk: Desk, stub: Laptop) -> None:
    """Who is deleted is signed out at the next token, as by Clerk."""
    desk.press("Hold back")
    desk.sign_up("Ada", "ada@example.com")
    ada = stub.clerk.users.id_by_email("ada@example.com")
    assert ada
    dialog = desk.open_user("ada@example.com")
    stub.clerk.delete_user(ada, notify=False)
    dialog.get_by_role("button", name="Sign in").click()
    expect(desk.page.locator("#session")).to_have_text("Nobody is signed in.")
    expect(desk.self_syncs).to_have_count(0)


def test_without_the_hook_a_plain_request_syncs(
    unbuilt: Laptop, tab: Callable[[Laptop], Desk]
) -> None:
    """The page says what the hook would need, and the row is there all the same."""
    desk = tab(unbuilt)
    expect(desk.page.get_by_text("needs Node.js with npm")).to_be_visible()
    desk.press("Hold back")
    desk.sign_up("Ada", "ada@example.com")
    desk.do("ada@example.com", "Sign in")
    desk.stands("ada@example.com", "in step")
    expect(desk.said).to_contain_text("Ada synced by a plain request")


def test_what_comes_late_changes_nothing(desk: Desk) -> None:
    """Two renames, released newest first; then the older one is replayed."""
    desk.sign_up("Ada", "ada@example.com")
    desk.stands("ada@example.com", "in step")
    desk.press("Hold back")
    desk.change("ada@example.com", "First name", "Second", "Rename")
    desk.change("ada@example.com", "First name", "Third", "Rename")
    desk.stands("ada@example.com", "behind")
    expect(desk.user("ada@example.com")).to_contain_text("Ada")
    desk.press("Release newest first")
    expect(desk.deliveries.nth(0)).to_contain_text("200 updated")
    expect(desk.deliveries.nth(1)).to_contain_text("200 unchanged")
    desk.stands("ada@example.com", "in step")
    desk.deliveries.nth(1).get_by_role("button", name="Replay").click()
    expect(desk.deliveries.nth(1).get_by_role("cell").nth(2)).to_have_text("2")
    expect(desk.deliveries.nth(1)).to_contain_text("200 unchanged")
    row = desk.user("ada@example.com")
    expect(row.get_by_role("cell", name="Third", exact=True)).to_have_count(2)


def test_one_of_the_held_back_can_be_sent_alone(desk: Desk) -> None:
    """The others stay where they are."""
    desk.press("Hold back")
    desk.sign_up("Ada", "ada@example.com")
    desk.sign_up("Bert", "bert@example.com")
    desk.deliveries.nth(1).get_by_role("button", name="Send now").click()
    desk.stands("ada@example.com", "in step")
    desk.stands("bert@example.com", "no row")


def test_an_email_changes_hands(desk: Desk) -> None:
    """It is with its new owner as soon as the news is, and nobody fails."""
    desk.sign_up("Ada", "shared@example.com")
    desk.stands("shared@example.com", "in step")
    desk.press("Hold back")
    desk.change("Ada", "Email", "ada@example.com", "Change email")
    desk.sign_up("Bert", "shared@example.com")
    expect(desk.deliveries).to_have_count(3)
    desk.deliveries.nth(0).get_by_role("button", name="Send now").click()
    desk.stands("Bert", "in step")
    desk.stands("ada@example.com", "behind")
    expect(desk.user("ada@example.com")).to_contain_text("NULL")
    desk.press("Release in order")
    desk.stands("ada@example.com", "in step")


def test_a_deleted_user_leaves_a_tombstone(desk: Desk, stub: Laptop) -> None:
    """And stays deleted, whatever arrives later."""
    desk.sign_up("Ada", "ada@example.com")
    desk.stands("ada@example.com", "in step")
    ada = stub.state()["users"][0]["key"]
    desk.do("ada@example.com", "Delete")
    desk.stands(ada[-6:], "deleted")
    expect(desk.user(ada[-6:])).to_contain_text("tombstone")
    desk.deliveries.nth(1).get_by_role("button", name="Replay").click()
    expect(desk.deliveries.nth(1)).to_contain_text("200 skipped")
    desk.stands(ada[-6:], "deleted")


def test_a_full_sync_finds_who_was_deleted_behind_our_back(
    desk: Desk, stub: Laptop
) -> None:
    """No webhook tells; the run's report does."""
    desk.sign_up("Ada", "ada@example.com")
    desk.stands("ada@example.com", "in step")
    ada = stub.state()["users"][0]["key"]
    desk.do("ada@example.com", "Delete behind our back")
    desk.stands(ada[-6:], "orphan")
    expect(desk.deliveries).to_have_count(1)
    desk.press("Full sync")
    expect(desk.said).to_contain_text("full sync completed: 3 read, 1 deleted")
    desk.stands(ada[-6:], "deleted")
    expect(desk.runs).to_have_count(2)
    expect(desk.runs.first).to_contain_text("completed")
    desk.runs.first.get_by_role("button").click()
    expect(desk.dialog.get_by_role("heading")).to_have_text("full sync: completed")
    expect(desk.dialog).to_contain_text("orphans found")


def test_an_incremental_sync_brings_what_webhooks_missed(
    desk: Desk, stub: Laptop
) -> None:
    """And its run is in the ledger."""
    clerk = stub.clerk
    clerk.create_user(email="ada@example.com", first_name="Ada", notify=False)
    desk.stands("ada@example.com", "no row")
    desk.press("Incremental sync")
    desk.stands("ada@example.com", "in step")
    expect(desk.runs.first).to_contain_text("incremental")
    expect(desk.runs.first).to_contain_text("1 created")


def test_a_tier_stays_whatever_is_synced(desk: Desk) -> None:
    """It is the application's."""
    desk.sign_up("Ada", "ada@example.com")
    desk.stands("ada@example.com", "in step")
    dialog = desk.open_user("ada@example.com")
    dialog.get_by_label("Tier").select_option("PRO")
    dialog.get_by_role("button", name="Change tier").click()
    expect(desk.user("ada@example.com")).to_contain_text("PRO")
    desk.change("ada@example.com", "First name", "Second", "Rename")
    desk.press("Full sync")
    expect(desk.said).to_contain_text("completed")
    row = desk.user("ada@example.com")
    expect(row.get_by_role("cell", name="Second", exact=True)).to_have_count(2)
    expect(row).to_contain_text("PRO")
