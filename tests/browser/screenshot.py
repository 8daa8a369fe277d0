"""docs/page.png, the picture in README: python -m tests.browser.screenshot [FILE]."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate
from local.stack.embedded_postgres import embedded_postgres
from tests.browser.chromium import headless_chromium
from tests.browser.desk import Desk
from tests.laptop import Laptop, laptop


@contextmanager
def _stack() -> Iterator[Laptop]:
    with embedded_postgres() as url, pytest.MonkeyPatch.context() as environment:
        database = Database(lambda: url)
        migrate(database)
        database.close()
        with laptop(environment, url, users=1_000, seed=9) as served:
            served.sync_all()
            yield served


def _play(desk: Desk, clerk: Laptop) -> None:
    """A moment at which something of everything is to be seen."""
    desk.sign_up("Mary", "mary@example.com")
    desk.stands("mary@example.com", "in step")
    mary = clerk.clerk.users.id_by_email("mary@example.com") or ""
    desk.do("mary@example.com", "Delete behind our back")
    desk.press("Full sync")
    desk.stands(mary[-6:], "deleted")
    for name in ("Ada", "Alan"):
        desk.sign_up(name, f"{name.lower()}@example.com")
        desk.stands(f"{name.lower()}@example.com", "in step")
    dialog = desk.open_user("Ada")
    dialog.get_by_label("Tier").select_option("PRO")
    dialog.get_by_role("button", name="Change tier").click()
    expect(desk.user("Ada")).to_contain_text("PRO")
    alan = clerk.clerk.users.id_by_email("alan@example.com") or ""
    desk.do("alan@example.com", "Delete")
    desk.stands(alan[-6:], "deleted")
    desk.press("Incremental sync")
    expect(desk.said).to_contain_text("completed")
    # The first session makes the functions warm, and the keys.
    desk.do("ada@example.com", "Sign in")
    expect(desk.said).to_contain_text("Ada synced by the hook")
    desk.press("Hold back")
    desk.change("Ada", "Last name", "Lovelace", "Rename")
    desk.stands("Ada Lovelace", "behind")
    for name in ("Hedy", "Grace"):
        desk.sign_up(name, f"{name.lower()}@example.com")
        desk.stands(f"{name.lower()}@example.com", "no row")
    desk.do("Grace", "Sign in")
    desk.stands("Grace", "in step")
    expect(desk.said).to_contain_text("synced by the hook")


def _take(browser: Browser, served: Laptop, picture: Path) -> None:
    page = browser.new_page(
        viewport={"width": 1280, "height": 800}, reduced_motion="reduce"
    )
    desk = Desk(page, served.url).open()
    _play(desk, served)
    page.mouse.move(0, 0)
    page.screenshot(path=picture)


if __name__ == "__main__":
    _picture = Path(sys.argv[1] if sys.argv[1:] else "docs/page.png")
    with headless_chromium() as _browser, _stack() as _served:
        _take(_browser, _served, _picture)
