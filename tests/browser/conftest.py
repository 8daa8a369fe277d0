"""A real browser in front of what `clerksync dev` serves."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from local.page.routes import SIGN_IN
from tests.browser.chromium import headless_chromium, unless_here
from tests.browser.desk import Desk
from tests.laptop import Laptop, laptop

_WAIT_MS = 60_000
expect.set_options(timeout=_WAIT_MS)


# Not of the session: as long as Playwright runs, no other event loop can.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with ExitStack() as stack:
        try:
            browser = stack.enter_context(headless_chromium())
        except OSError as error:
            unless_here(str(error))
        yield browser


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser in which nobody has been anywhere."""
    with browser.new_context(viewport={"width": 1280, "height": 800}) as context:
        context.set_default_timeout(_WAIT_MS)
        yield context


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, database_url: str) -> Iterator[Laptop]:
    with laptop(monkeypatch, database_url) as served:
        served.sync_all()
        yield served


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch, database_url: str) -> Iterator[Laptop]:
    with laptop(monkeypatch, database_url, own=True) as served:
        yield served


@pytest.fixture
def hook() -> None:
    """The sign-in with React is built."""
    if not SIGN_IN.exists():
        unless_here(
            "the hook is not built: install Node.js with npm, then make browser"
        )


@pytest.fixture
def tab(context: BrowserContext) -> Iterator[Callable[[Laptop], Desk]]:
    """Opens a tab. None of them may meet an error, or ask any host but the laptop."""
    wrong: list[str] = []
    hosts: set[str] = set()

    def said(line: ConsoleMessage) -> None:
        # A refusal is an answer; that the browser notes it is no fault of the page.
        refusal = line.text.startswith("Failed to load resource: the server responded")
        if line.type == "error" and not refusal:
            wrong.append(line.text)

    def watched(page: Page) -> None:
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", said)
        page.on("request", lambda asked: hosts.add(asked.url.split("/")[2]))

    def opened(served: Laptop) -> Desk:
        page = context.new_page()
        watched(page)
        return Desk(page, served.url).open()

    yield opened
    assert wrong == []
    assert {host.partition(":")[0] for host in hosts} <= {"127.0.0.1"}


@pytest.fixture
def desk(stub: Laptop, tab: Callable[[Laptop], Desk]) -> Desk:
    """A tab in front of the stub Clerk and a table that is in step."""
    return tab(stub)
