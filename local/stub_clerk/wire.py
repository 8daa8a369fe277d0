"""How Clerk writes what it sends: JSON, ids, and times in Unix milliseconds."""

import json
import random
import string
import time
from typing import Any

JSON = dict[str, Any]

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_BASE62_PAIRS = [a + b for a in _BASE62 for b in _BASE62]
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)
_KSUID_EPOCH_S = 1_400_000_000


def now_ms() -> int:
    """Return the wall clock in Unix milliseconds."""
    return time.time_ns() // 1_000_000


def to_json(value: Any) -> bytes:
    """Return compact JSON in UTF-8, as Clerk sends it."""
    return _ENCODER.encode(value).encode()


def new_id(prefix: str, created_at: int, rng: random.Random) -> str:
    """Return an id such as `user_2g7np7Hrk0SN6kj5EDMLDaKNL0S`.

    The 27 characters are a KSUID, as Clerk's are: they sort by `created_at` (ms), to
    the second.
    """
    seconds = max(0, created_at // 1000 - _KSUID_EPOCH_S)
    number = (seconds << 128) | rng.getrandbits(128)
    number, low = divmod(number, 62**10)
    high, middle = divmod(number, 62**10)
    # Three numbers of machine size: a million users are three million ids.
    return f"{prefix}_{_base62(high, 4)[1:]}{_base62(middle, 5)}{_base62(low, 5)}"


def _base62(number: int, pairs: int) -> str:
    text = ""
    for _ in range(pairs):
        number, pair = divmod(number, 3844)
        text = _BASE62_PAIRS[pair] + text
    return text
