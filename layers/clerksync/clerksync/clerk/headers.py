"""Times in the headers of a response: when it was sent, and when to ask again."""

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

_LONGEST_SECONDS: Final = 3600.0
_LEAST_SECONDS: Final = 0.1


def sent_at(headers: Mapping[str, str]) -> int | None:
    """Return when Clerk sent a response, by its own clock: Unix ms, rounded down to
    the second. None if the response does not say, or came from a cache."""
    if headers.get("age", "0").strip() != "0":
        return None
    seconds = _http_date(headers.get("date", ""))
    return None if seconds is None else int(seconds) * 1000


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds Retry-After asks to wait: at least 0.1.

    It is a number of seconds or a date, which is compared with the Date of the same
    response. None for anything odd: a text, a negative number, more than an hour (some
    proxies send the Unix time at which to retry).
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdecimal():
        seconds = float(value)
    else:
        at = _http_date(value)
        if at is None:
            return None
        seconds = at - (_http_date(headers.get("date", "")) or time.time())
    if not 0 <= seconds <= _LONGEST_SECONDS:
        return None
    return max(seconds, _LEAST_SECONDS)


def _http_date(value: str) -> float | None:
    try:
        return parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
