"""What an answer of Clerk other than 200 means."""

import json
import math

import urllib3

from clerksync.errors import ClerkRequestError


class TryAgainError(Exception):
    """Asking again may help; `retry_after_seconds` is set after a 429."""

    def __init__(self, problem: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(problem)
        self.retry_after_seconds = retry_after_seconds


def refusal(response: urllib3.BaseHTTPResponse) -> Exception:
    """What an answer other than 200 means."""
    if response.status == 429:
        return TryAgainError("too many requests", _retry_after(response))
    if response.status >= 500:
        return TryAgainError(f"status {response.status}")
    if response.status == 401:
        message = "Clerk does not accept CLERK_SECRET_KEY: check key and instance."
    else:
        message = f"Clerk answered {response.status} ({_error_code(response)})."
    return ClerkRequestError(message, response.status)


def _retry_after(response: urllib3.BaseHTTPResponse) -> float:
    try:
        seconds = float(response.headers.get("retry-after", "1"))
    except ValueError:
        seconds = 1.0
    return max(seconds, 0.1) if math.isfinite(seconds) else 1.0


def _error_code(response: urllib3.BaseHTTPResponse) -> str:
    try:
        return str(json.loads(response.data)["errors"][0]["code"])
    except (ValueError, LookupError, TypeError):
        return "no error code"
