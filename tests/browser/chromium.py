"""The browser of the tests: the chromium that the system has, without a window."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest
from playwright.sync_api import Browser, sync_playwright

_NAMES: Final = ("chromium", "chromium-browser")
_FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_MISSING: Final = (
    "chromium is not on this machine. On Debian and Ubuntu: apt-get install chromium"
)


@contextmanager
def headless_chromium() -> Iterator[Browser]:
    """With a profile of its own, new and empty. Raises OSError where there is none."""
    executable = next(filter(None, map(shutil.which, _NAMES)), None)
    if executable is None:
        raise OSError(_MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, headless=True, args=_FLAGS
        )
        yield browser
        browser.close()


def unless_here(reason: str) -> None:
    """A laptop may lack something; where all is tested, nothing is left out."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
