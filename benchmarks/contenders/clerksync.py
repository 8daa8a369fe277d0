"""The bulk sync function, called as Lambda would call it: full, unless told."""

import sys
from typing import Any, Final

from benchmarks.contenders.stopwatch import tell
from functions.bulk_sync.app import handler

_MODE: Final = sys.argv[1] if len(sys.argv) > 1 else "full"


def _work() -> dict[str, Any]:
    return {"report": handler({"mode": _MODE}, None)}


if __name__ == "__main__":
    tell(_work)
