"""A limit: fetch and decode every user with one cursor, page after page.

Written out, so that it stays what it is however clerksync fetches.
"""

import os
from typing import Final
from urllib.parse import urlencode

import urllib3

from benchmarks.contenders.stopwatch import tell
from clerksync.clerk.user import parse_page

_PAGE: Final = 500


def _work() -> dict[str, int]:
    http = urllib3.PoolManager()
    headers = {"authorization": f"Bearer {os.environ['CLERK_SECRET_KEY']}"}
    listing = f"{os.environ['CLERK_API_URL']}/v1/users"
    query = {"limit": str(_PAGE), "order_by": "+created_at"}
    count = 0
    while True:
        url = f"{listing}?{urlencode(query)}"
        response = http.request("GET", url, headers=headers)
        if response.status != 200:
            raise RuntimeError(f"status {response.status}")
        users = parse_page(response.data).users
        count += len(users)
        if len(users) < _PAGE:
            return {"users": count}
        query["starting_after"] = users[-1].id


if __name__ == "__main__":
    tell(_work)
