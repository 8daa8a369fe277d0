"""The page with hostile users, with own settings, and when things go wrong."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Response, expect

from tests.browser.desk import Desk
from tests.doors import UNREACHABLE
from tests.laptop import Laptop, laptop
from tests.terminal import Running, reserved_port

HOSTILE = '<img src=x onerror="alert(1)">'


def test_a_hostile_user_is_only_text(desk: Desk) -> None:
    """In the table, in the dialog, in messages and when signed in."""
    desk.page.on("dialog", lambda _: pytest.fail("a script of the user's has run"))
    desk.sign_up(HOSTILE, "ada@example.com")
    desk.stands(HOSTILE, "in step")
    expect(desk.said).to_have_text(f"{HOSTILE} signed up.")
    dialog = desk.open_user("ada@example.com")
    expect(dialog.get_by_role("heading")).to_have_text(HOSTILE)
    dialog.get_by_role("button", name="Sign in").click()
    expect(desk.page.locator("#session")).to_contain_text(HOSTILE)
    desk.page.get_by_label("Search").fill("<img")
    expect(desk.page.locator("#user-rows tr")).to_have_count(1)
    assert desk.page.locator("img").count() == 0


def test_a_refusal_stands_in_the_dialog(desk: Desk) -> None:
    """What was typed stays there, to be mended."""
    desk.sign_up("Ada", "ada@example.com")
    desk.press("Sign up")
    desk.dialog.get_by_label("Email").fill("ada@example.com")
    desk.dialog.get_by_role("button", name="Sign up").click()
    expect(desk.dialog.get_by_role("alert")).to_contain_text("taken")
    expect(desk.dialog.get_by_label("Email")).to_have_value("ada@example.com")
    desk.dialog.get_by_label("Email").fill("other@example.com")
    desk.dialog.get_by_role("button", name="Sign up").click()
    expect(desk.dialog).to_have_count(0)


def test_a_search_shows_who_is_found(desk: Desk, stub: Laptop) -> None:
    """Among more users than are listed; nobody is said to be nobody."""
    clerk = stub.clerk
    clerk.create_user(email="ada@example.com", first_name="Ada")
    for number in range(60):
        clerk.create_user(email=f"other{number}@example.org", notify=False)
    expect(desk.page.locator("#user-rows tr")).to_have_count(50)
    search = desk.page.get_by_label("Search")
    search.fill("ada@")
    desk.stands("ada@example.com", "in step")
    expect(desk.page.locator("#user-rows tr")).to_have_count(1)
    search.fill("nobody")
    expect(desk.page.get_by_text("Nobody is found.")).to_be_visible()
    search.fill("")
    expect(desk.page.locator("#user-rows tr")).to_have_count(50)


def test_nothing_is_asked_for_anew_while_nothing_changes(desk: Desk) -> None:
    """The page asks each second, and gets an empty answer. (What Postgres does for
    itself, such as vacuuming, may count as a change now and then.)"""

    def is_empty(response: Response) -> bool:
        return "/page/state" in response.url and response.status == 304

    for _ in range(2):
        with desk.page.expect_response(is_empty) as empty:
            pass
        assert empty.value.headers["etag"]


def test_with_own_settings_there_is_nothing_to_press(
    own: Laptop, tab: Callable[[Laptop], Desk]
) -> None:
    """Only to read: rows, self-syncs and runs; a user opens, with Clerk's side."""
    own.clerk.create_user(email="ada@example.com", first_name="Ada")
    assert own.clerk.wait_for_deliveries(30)
    desk = tab(own)
    expect(desk.user("ada@example.com")).to_be_visible()
    desk.stands("ada@example.com", "synced")
    buttons = desk.page.locator("button:visible")
    expect(buttons).to_have_count(1)
    expect(buttons).to_have_accessible_name(re.compile("Open Ada"))
    for words in ("Webhooks", "Full sync", "Sign up", "Nobody is signed in."):
        expect(desk.page.get_by_text(words)).to_have_count(0)
    dialog = desk.open_user("ada@example.com")
    cells = dialog.get_by_role("row", name="email").get_by_role("cell")
    expect(cells).to_have_text(["ada@example.com", "ada@example.com"])
    expect(dialog.get_by_role("button")).to_have_text(["Close"])
    assert dialog.locator("input, select").count() == 0


def test_a_database_of_ones_own_is_left_alone_when_nobody_is_there(
    own: Laptop, context: BrowserContext
) -> None:
    """It may cost money while it is awake: after five minutes the page asks no more,
    until somebody moves."""
    page = context.new_page()
    page.clock.install()
    desk = Desk(page, own.url).open()
    page.clock.fast_forward("05:30")
    expect(page.locator("#connection")).to_contain_text("paused")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.fast_forward("01:00:00")
    expect(page.locator("#connection")).to_contain_text("paused")
    assert asked == []
    page.keyboard.press("Tab")
    desk.is_live()
    assert len(asked) == 1


def test_a_server_that_is_gone_is_said_and_found_again(
    context: BrowserContext, tmp_path: Path
) -> None:
    """The page stays, says so, and goes on by itself when `make dev` runs again."""
    with reserved_port() as port:
        page = context.new_page()
        desk = Desk(page, f"http://127.0.0.1:{port}")
        with Running("dev", cwd=tmp_path, PORT=str(port)) as dev:
            assert desk.url in dev.wait_for("Ctrl-C ends it.")
            desk.open()
            desk.sign_up("Ada", "ada@example.com")
            desk.stands("ada@example.com", "in step")
        expect(page.locator("#connection")).to_have_text("not connected")
        expect(page.get_by_role("alert")).to_contain_text("Is make dev still running?")
        desk.press("Hold back")
        expect(desk.said).to_contain_text("The server does not answer.")
        with Running("dev", cwd=tmp_path, PORT=str(port)) as dev:
            dev.wait_for("Ctrl-C ends it.")
            desk.is_live()
            expect(page.get_by_role("alert")).to_have_count(0)
            # The stub begins anew, and so does the table.
            expect(desk.user("ada@example.com")).to_have_count(0)


def test_a_database_that_is_away_is_said(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was there stays to be read; afterwards all is well again."""
    with monkeypatch.context() as away:
        away.setenv("DATABASE_URL", UNREACHABLE)
        expect(desk.page.get_by_role("alert")).to_contain_text("Postgres cannot be")
        expect(desk.page.locator("#user-rows tr")).to_have_count(3)
    desk.is_live()


def test_a_state_that_cannot_be_shown_is_told_and_asked_for_again(
    stub: Laptop, context: BrowserContext
) -> None:
    """A fault of the page's own does not end its asking."""
    page = context.new_page()
    page.route("**/page/state*", lambda route: route.fulfill(json={"stub": True}))
    page.goto(stub.url)
    expect(page.locator("#connection")).to_have_text("failing")
    expect(page.get_by_role("alert")).to_contain_text("cannot show what there is")
    page.unroute("**/page/state*")
    Desk(page, stub.url).is_live()
    expect(page.locator("#user-rows tr")).to_have_count(3)


def test_an_empty_laptop_says_what_to_do_next(
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    tab: Callable[[Laptop], Desk],
) -> None:
    """No users, no webhook, no run: a sentence for each."""
    with laptop(monkeypatch, database_url, users=0) as served:
        desk = tab(served)
        for words in ("No users yet.", "No webhook yet.", "None yet.", "No run yet."):
            expect(desk.page.get_by_text(words)).to_be_visible()
