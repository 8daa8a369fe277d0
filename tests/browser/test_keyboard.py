"""The page without a mouse."""

from playwright.sync_api import expect

from tests.browser.desk import Desk
from tests.laptop import Laptop

FOCUSED = """() => {
  const all = [...document.querySelectorAll("body *")];
  const { activeElement } = document;
  return [all.indexOf(activeElement), getComputedStyle(activeElement).outlineStyle];
}"""


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
