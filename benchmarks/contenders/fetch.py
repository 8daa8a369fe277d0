"""A limit: fetch and decode every user, as bulk sync does, and write nothing."""

import time

from benchmarks.contenders.stopwatch import tell
from clerksync.clerk_api import BULK, ClerkApi
from clerksync.fetch import fetch_windows
from clerksync.outcome import Prepared
from clerksync.settings import Settings
from clerksync.windows import Windows


def _work() -> dict[str, int]:
    settings = Settings()
    batches = fetch_windows(
        ClerkApi(settings, BULK).for_run(),
        Windows.until(int(time.time() * 1000)),
        lambda _page: Prepared(),
        workers=settings.workers,
    )
    return {"users": sum(page.size for batch in batches for page in batch)}


if __name__ == "__main__":
    tell(_work)
