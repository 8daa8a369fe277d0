"""What a person does at the page, and where they look."""

from playwright.sync_api import Locator, Page, expect


class Desk:
    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.said = page.locator("#said")
        self.users = page.get_by_role("table", name="Users")
        self.deliveries = self._rows("Webhooks")
        self.self_syncs = self._rows("Self-sync")
        self.runs = self._rows("Bulk sync")
        self.dialog = page.get_by_role("dialog")

    def open(self) -> "Desk":
        self.page.goto(self.url)
        self.is_live()
        return self

    def is_live(self) -> None:
        expect(self.page.locator("#connection")).to_have_text("live")

    def user(self, text: str) -> Locator:
        return self.users.get_by_role("row").filter(has_text=text)

    def stands(self, text: str, standing: str) -> None:
        """The user is in the table of users, and this is how it stands."""
        expect(self.user(text).locator(".badge")).to_have_text(standing)

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def sign_up(self, first_name: str, email: str) -> None:
        self.press("Sign up")
        self.dialog.get_by_label("First name").fill(first_name)
        self.dialog.get_by_label("Email").fill(email)
        self.dialog.get_by_role("button", name="Sign up").click()
        expect(self.dialog).to_have_count(0)

    def open_user(self, text: str) -> Locator:
        """The dialog of a user, once it is filled in."""
        self.user(text).get_by_role("button").click()
        expect(self.dialog.get_by_role("row", name="version")).to_be_visible()
        return self.dialog

    def change(self, text: str, field: str, value: str, button: str) -> None:
        dialog = self.open_user(text)
        dialog.get_by_label(field).fill(value)
        dialog.get_by_role("button", name=button).click()
        expect(self.dialog).to_have_count(0)

    def do(self, text: str, button: str) -> None:
        self.open_user(text).get_by_role("button", name=button, exact=True).click()
        expect(self.dialog).to_have_count(0)

    def _rows(self, table: str) -> Locator:
        return self.page.get_by_role("table", name=table).locator("tbody tr")
