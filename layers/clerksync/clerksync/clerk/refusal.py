"""What a response other than 200 means, and whether it is Clerk's own.

Proxies, gateways and firewalls respond too. Only a response in the shape of Clerk's
errors says something about a user or a key; any other is a failure to retry.
"""

import json
import re
from typing import Any, Final
from urllib.parse import urlsplit

import urllib3

from clerksync.clerk.headers import retry_after
from clerksync.errors import ClerkRequestError

NOT_FOUND: Final = "resource_not_found"
"""Clerk's error code for what it does not have."""
_SHOWN: Final = 80
# An address, or what could be a key, a token or the ID of a person.
_PRIVATE: Final = re.compile(r"\S*@\S*|\S{25,}|\b(?:sk|pk|user|sess|org)_\S*")
_NOT_CLERKS: Final = (
    "is not a response of Clerk's. Something in between responds: a proxy, a gateway "
    "or a firewall"
)


class TryAgainError(Exception):
    """A retry may help."""

    def __init__(
        self,
        problem: str,
        *,
        too_many_requests: bool = False,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(problem)
        self.too_many_requests = too_many_requests
        """Everybody who shares the rate limit has to pause."""
        self.retry_after_seconds = retry_after_seconds
        """For so long, if the response says so."""


def refusal(response: urllib3.BaseHTTPResponse, *, about_user: bool) -> Exception:
    """Return what a response other than 200 means, to be raised.

    A request `about_user` asks for one user by ID: a 404 then ends it only with Clerk's
    code for "not found".
    """
    status = response.status
    if status == 429:
        seconds = retry_after(response.headers)
        problem = "too many requests"
        return TryAgainError(
            problem, too_many_requests=True, retry_after_seconds=seconds
        )
    code = _error_code(response.data)
    if code is None or status < 400:
        return TryAgainError(f"{_received(response)} {_NOT_CLERKS}")
    if status >= 500 or (about_user and status == 404 and code != NOT_FOUND):
        return TryAgainError(f"status {status} ({code})")
    if status == 401:
        message = "Clerk does not accept CLERK_SECRET_KEY: check key and instance."
    else:
        message = f"Clerk answered {status} ({code})."
    return ClerkRequestError(message, status)


def _error_code(body: bytes) -> str | None:
    """Return the code of an error in Clerk's shape; None for any other body."""
    try:
        code = json.loads(body)["errors"][0]["code"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    if not isinstance(code, str) or not re.fullmatch(r"\w{1,80}", code, re.ASCII):
        return None
    return code


def _received(response: urllib3.BaseHTTPResponse) -> str:
    """Describe a response of somebody else's, without what may be private."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip()
    received = f"status {response.status}, {_clean(kind) or 'no content type'}"
    if 300 <= response.status < 400:
        to = urlsplit(response.headers.get("location", ""))
        where = f" to {to.scheme}://{_clean(to.hostname or '')}" if to.hostname else ""
        received += f", a redirect{where} (is CLERK_API_URL right?)"
    start = _start(response.data)
    return f"{received}, {f'beginning “{start}”,' if start else 'without a body,'}"


def _start(body: bytes) -> str:
    text = body[:4096].decode("utf-8", "replace")
    try:
        text = _of_json(json.loads(body))
    except (ValueError, RecursionError):
        text = re.sub(r"<[^>]*>", " ", text)
    return _clean(text)


def _of_json(value: Any) -> str:
    """Values may be data of people: only a message is shown, or else the names."""
    if not isinstance(value, dict):
        return f"a JSON {type(value).__name__}"
    for name in ("message", "error", "detail"):
        if isinstance(value.get(name), str):
            return str(value[name])
    return f"JSON with {', '.join(value)}"


def _clean(text: str) -> str:
    printable = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(_PRIVATE.sub("…", printable).split())[:_SHOWN]
