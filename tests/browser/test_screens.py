"""The page on screens of all sizes, in both schemes, and for who does not see it."""

import pytest
from playwright.sync_api import expect

from tests.browser.desk import Desk
from tests.laptop import Laptop

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
OVERFLOW = """() => [
  document.documentElement.scrollWidth - document.documentElement.clientWidth,
  [...document.querySelectorAll("main *, header *")].filter((element) =>
    element.checkVisibility() && element.getBoundingClientRect().right > innerWidth + 1
    && !element.closest(".scroll")).length,
]"""


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
