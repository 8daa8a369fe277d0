"""A limit: fetch and decode every user, as bulk sync does, and write nothing."""

import time

from benchmarks.contenders.stopwatch import tell
from clerksync.bulk.fetch import fetch_windows
from clerksync.bulk.windows import Windows
from clerksync.clerk.retry import BULK
from clerksync.settings.clerk_client import clerk_client
from clerksync.settings.environment import Settings
from clerksync.write.rows import Prepared


def _work() -> dict[str, int]:
    settings = Settings()
    batches = fetch_windows(
        clerk_client(settings, BULK).for_run(),
        Windows.until(int(time.time() * 1000)),
        lambda _page: Prepared([], []),
        workers=settings.workers,
    )
    return {"users": sum(page.size for batch in batches for page in batch)}


if __name__ == "__main__":
    tell(_work)
