"""The page on a phone, by keyboard, with hostile users, and when things go wrong."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.desk import Desk
from tests.doors import UNREACHABLE
from tests.laptop import Laptop, laptop
from tests.terminal import Running, free_port

HOSTILE = '<img src=x onerror="alert(1)">'
# The contrast of each text with what is behind it, as WCAG 2 computes it.
CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d");
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.slice(0, 3).map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !element.checkVisibility()) continue;
    const [a, b] = [rgba(getComputedStyle(element).color), behind(element)].map(light);
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    found.push([element.textContent.trim(), Math.round(contrast * 100) / 100]);
  }
  return found;
}"""
# What a screen reader would call each control.
NAMES = """() => [...document.querySelectorAll("button, input, select, a")].map((c) => [
  c.outerHTML.slice(0, 80),
  (c.ariaLabel || c.labels?.[0]?.textContent || c.textContent).trim(),
])"""
FOCUSED = """() => {
  const all = [...document.querySelectorAll("body *")];
  const { activeElement } = document;
  return [all.indexOf(activeElement), getComputedStyle(activeElement).outlineStyle];
}"""
OVERFLOW = """() => [
  document.documentElement.scrollWidth - document.documentElement.clientWidth,
  [...document.querySelectorAll("main *, header *")].filter((element) =>
    element.checkVisibility() && element.getBoundingClientRect().right > innerWidth + 1
    && !element.closest(".scroll")).length,
]"""


def tab_to(desk: Desk, name: str) -> None:
    """Press Tab until the focus is on what has this name."""
    for _ in range(60):
        desk.page.keyboard.press("Tab")
        focused = desk.page.evaluate(
            "document.activeElement.ariaLabel || document.activeElement.textContent"
        )
        if focused.strip() == name:
            return
    raise AssertionError(f"Tab does not lead to {name}")


def test_all_of_it_works_by_keyboard(desk: Desk, stub: Laptop) -> None:
    """Sign up, open the user, rename, leave the dialog: without a mouse, and the focus
    is always where the person was."""
    keyboard = desk.page.keyboard
    tab_to(desk, "Sign up")
    keyboard.press("Enter")
    expect(desk.dialog.get_by_label("First name")).to_be_focused()
    keyboard.type("Ada")
    keyboard.press("Tab")
    keyboard.press("Tab")
    keyboard.type("ada@example.com")
    keyboard.press("Enter")
    expect(desk.dialog).to_have_count(0)
    expect(desk.page.get_by_role("button", name="Sign up", exact=True)).to_be_focused()
    desk.stands("ada@example.com", "in step")
    ada = stub.state()["users"][0]["key"]
    tab_to(desk, f"Open Ada, {ada}")
    keyboard.press("Enter")
    expect(desk.dialog.get_by_role("row", name="version")).to_be_visible()
    tab_to(desk, "")
    keyboard.press("ControlOrMeta+a")
    keyboard.type("Grace")
    keyboard.press("Enter")
    expect(desk.dialog).to_have_count(0)
    row = desk.user("ada@example.com")
    expect(row.get_by_role("cell", name="Grace", exact=True)).to_have_count(2)
    expect(row.get_by_role("button")).to_be_focused()
    keyboard.press("Enter")
    expect(desk.dialog).to_have_count(1)
    keyboard.press("Escape")
    expect(desk.dialog).to_have_count(0)
    expect(row.get_by_role("button")).to_be_focused()


def test_the_keyboard_holds_back_and_releases(desk: Desk) -> None:
    """A button that gives way to another gives it the focus; then a run."""
    tab_to(desk, "Hold back")
    desk.page.keyboard.press("Space")
    expect(desk.page.get_by_role("button", name="Release in order")).to_be_focused()
    desk.page.keyboard.press("Space")
    expect(desk.page.get_by_role("button", name="Hold back")).to_be_focused()
    tab_to(desk, "Full sync")
    desk.page.keyboard.press("Enter")
    expect(desk.said).to_contain_text("full sync completed")


def test_the_focus_is_always_to_be_seen(desk: Desk) -> None:
    """Each stop has an outline, all are reached in the order of the page, and after the
    last one the page is left: no trap."""
    stops: list[int] = []
    while True:
        desk.page.keyboard.press("Tab")
        place, outline = desk.page.evaluate(FOCUSED)
        if stops and (place <= 0 or place in stops):
            break
        stops.append(place)
        assert outline == "solid", place
    assert stops == sorted(stops)
    assert len(stops) == desk.page.locator(":is(button, input, a):visible").count()


def test_the_focus_stays_in_a_row_that_moves(desk: Desk, stub: Laptop) -> None:
    """Somebody else's change brings another row to the top."""
    desk.sign_up("Ada", "ada@example.com")
    desk.sign_up("Bert", "bert@example.com")
    desk.stands("bert@example.com", "in step")
    ada = stub.clerk.users.id_by_email("ada@example.com")
    assert ada
    button = desk.user("ada@example.com").get_by_role("button")
    button.focus()
    stub.clerk.update_user(ada, last_name="Lovelace")
    first = desk.page.locator("#user-rows tr").first
    expect(first).to_contain_text("Ada Lovelace")
    expect(button).to_be_focused()


@pytest.mark.parametrize("width", [320, 375, 768, 1280])
def test_nothing_is_wider_than_the_screen(desk: Desk, width: int) -> None:
    """From a small phone to a laptop, with all that can be shown."""
    for name in ("x" * 60, "Ada"):
        desk.sign_up(name, f"{name.lower()}@a-rather-long-domain-name.example.com")
    desk.press("Hold back")
    desk.sign_up("Late", "late@example.com")
    desk.press("Full sync")
    expect(desk.said).to_contain_text("completed")
    desk.page.set_viewport_size({"width": width, "height": 800})
    expect(desk.user("late@example.com")).to_be_visible()
    assert desk.page.evaluate(OVERFLOW) == [0, 0]
    desk.open_user("late@example.com")
    assert desk.page.evaluate(OVERFLOW) == [0, 0]
    dialog = desk.dialog.bounding_box()
    assert dialog
    assert dialog["x"] >= 0
    assert dialog["x"] + dialog["width"] <= width


def test_a_phone_shows_both_sides_of_a_user(desk: Desk) -> None:
    """The flow works by touch: sign up, look, open, rename."""
    desk.page.set_viewport_size({"width": 375, "height": 700})
    desk.sign_up("Ada", "ada@example.com")
    row = desk.user("ada@example.com")
    desk.stands("ada@example.com", "in step")
    for cell in row.get_by_role("cell", name="ada@example.com", exact=True).all():
        expect(cell).to_be_visible()
    desk.change("ada@example.com", "First name", "Grace", "Rename")
    # Without a heading above it, each value says what it is.
    for label in ("Clerk: name Grace", "Table: name Grace"):
        expect(row.get_by_role("cell", name=label, exact=True)).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(desk: Desk, stub: Laptop, scheme: str) -> None:
    """In both schemes, with what is right and what is not: a contrast of AA, 4.5."""
    desk.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    clerk = stub.clerk
    orphan, behind, gone = clerk.ids()
    clerk.delete_user(orphan, notify=False)
    clerk.update_user(behind, first_name="Behind", notify=False)
    clerk.delete_user(gone)
    desk.stands("Behind", "behind")
    desk.stands(gone[-6:], "deleted")
    desk.stands(orphan[-6:], "orphan")
    page_texts = desk.page.evaluate(CONTRASTS)
    desk.open_user("Behind")
    dialog_texts = desk.page.evaluate(CONTRASTS)
    assert len(page_texts) > 40
    assert len(dialog_texts) > len(page_texts)
    low = [t for t in page_texts + dialog_texts if t[1] < 4.5]
    assert low == []


def test_every_control_has_a_name(desk: Desk) -> None:
    """Buttons, fields and links, in the dialogs too."""
    names = desk.page.evaluate(NAMES)
    assert len(names) > 15
    assert [control for control, name in names if not name] == []


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
    search.fill("ada")
    desk.stands("ada@example.com", "in step")
    expect(desk.page.locator("#user-rows tr")).to_have_count(1)
    search.fill("nobody")
    expect(desk.page.get_by_text("Nobody is found.")).to_be_visible()
    search.fill("")
    expect(desk.page.locator("#user-rows tr")).to_have_count(50)


def test_nothing_is_asked_for_anew_while_nothing_changes(desk: Desk) -> None:
    """The page asks each second, and gets an empty answer."""
    with desk.page.expect_response(lambda r: "/page/state" in r.url) as quiet:
        pass
    assert quiet.value.status == 304


def test_with_own_settings_there_is_nothing_to_press(
    own: Laptop, tab: Callable[[Laptop], Desk]
) -> None:
    """Only to read: rows, self-syncs and runs; a user opens, with Clerk's side."""
    own.clerk.create_user(email="ada@example.com", first_name="Ada")
    assert own.clerk.wait_for_deliveries()
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
    port = free_port()
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
