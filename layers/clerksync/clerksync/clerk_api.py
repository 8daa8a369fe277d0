"""The part of Clerk's Backend API that sync needs, and how to ask patiently."""

import json
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import urllib3

from clerksync.clerk_user import (
    ClerkUser,
    Page,
    parse_json,
    parse_page,
    parse_user,
)
from clerksync.errors import (
    ClerkRequestError,
    ClerkUnavailableError,
    InvalidPayloadError,
)
from clerksync.settings import Settings

API_VERSION: Final = "2026-05-12"
PAGE_LIMIT: Final = 500
IDS_LIMIT: Final = 100
_HINT: Final = "Check the network, CLERK_API_URL and CLERK_ISSUER, or try later."
_BACKOFF_SECONDS: Final = 0.5

Answer = TypeVar("Answer")
Query = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to insist on one answer. A 429 is no failed try: it is waited out."""

    retries: int
    """After a 5xx, a broken connection or a cut answer, with backoff."""
    longest_wait_seconds: float
    """In all. What would take longer is not waited: Clerk counts as unavailable."""
    timeout_seconds: float
    """For connecting, and for each silence while reading."""


# Somebody is looking at a screen; the browser tries again.
INTERACTIVE: Final = Patience(retries=1, longest_wait_seconds=2, timeout_seconds=5)
BULK: Final = Patience(retries=5, longest_wait_seconds=300, timeout_seconds=30)


class ClerkApi:
    """One instance of Clerk, over kept-alive connections. Safe for threads.

    Every method raises ClerkUnavailableError when Clerk does not answer usefully, and
    ClerkRequestError when it refuses: 401 for a wrong key, among others.
    """

    def __init__(self, settings: Settings, patience: Patience) -> None:
        self._settings = settings
        self._patience = patience
        self._http = urllib3.PoolManager(
            maxsize=16, timeout=patience.timeout_seconds, retries=False
        )
        self.requests = 0

    def instance_id(self) -> str:
        """Which instance the secret key belongs to."""
        return self._get("/v1/instance", (), _instance_id)

    def count(self, *, created_before: datetime) -> int:
        """How many users were created before a time of Clerk's clock."""
        query = [("created_at_before", _milliseconds(created_before))]
        return self._get("/v1/users/count", query, _total_count)

    def user(self, clerk_id: str) -> ClerkUser | None:
        """One user by id; None when Clerk does not know it."""
        try:
            path = f"/v1/users/{clerk_id}"
            return self._get(path, (), lambda body: parse_user(parse_json(body)))
        except ClerkRequestError as error:
            if error.status == 404:
                return None
            raise

    def users_by_id(self, clerk_ids: Sequence[str]) -> list[ClerkUser]:
        """Those of up to 100 users that Clerk knows. Raises InvalidPayloadError when
        one of them cannot be read: it would pass for gone."""
        if len(clerk_ids) > IDS_LIMIT:
            raise ValueError(f"at most {IDS_LIMIT} ids")
        # Asked by id, the listing still obeys its limit, which is 10 unless told.
        query = [("limit", str(IDS_LIMIT)), *(("user_id", i) for i in clerk_ids)]
        page = self._get("/v1/users", query, parse_page)
        if page.undecodable:
            raise InvalidPayloadError("A user that was asked for by id is unreadable.")
        return page.users

    def created_page(
        self,
        *,
        created_after: datetime | None,
        created_before: datetime,
        starting_after: str | None,
    ) -> Page:
        """A page of the listing, oldest first, 500 users; a shorter one is the last."""
        query = [
            ("limit", str(PAGE_LIMIT)),
            ("order_by", "+created_at"),
            ("created_at_before", _milliseconds(created_before)),
        ]
        if created_after is not None:
            query.append(("created_at_after", _milliseconds(created_after)))
        if starting_after is not None:
            query.append(("starting_after", starting_after))
        return self._get("/v1/users", query, parse_page)

    def updated_page(self, *, offset: int) -> Page:
        """A page of the listing, last updated first. Clerk has no updated_at filter."""
        query = [
            ("limit", str(PAGE_LIMIT)),
            ("order_by", "-updated_at"),
            ("offset", str(offset)),
        ]
        return self._get("/v1/users", query, parse_page)

    def jwks_url(self, issuer: str | None) -> str:
        """The issuer's key set is public; the Backend API's needs the secret key."""
        if issuer is not None:
            return f"{issuer}/.well-known/jwks.json"
        return f"{self._settings.clerk_api_url}/v1/jwks"

    def jwks(self, url: str) -> Mapping[str, Any]:
        jwks = self._get(url, (), parse_json)
        if not isinstance(jwks, dict):
            raise ClerkUnavailableError("Clerk's key set is not a JSON object.")
        return jwks

    def _get(
        self, path: str, query: Query, decode: Callable[[bytes], Answer]
    ) -> Answer:
        tries, waited = 0, 0.0
        while True:
            try:
                return self._ask(path, query, decode)
            except _TryAgainError as reason:
                wait = reason.wait_seconds
                if wait is None:
                    tries += 1
                    spread = random.uniform(0.5, 1)  # noqa: S311 - no secret
                    wait = spread * _BACKOFF_SECONDS * 2**tries
                patience = self._patience
                waited += wait
                if tries > patience.retries or waited > patience.longest_wait_seconds:
                    message = f"Clerk cannot be asked: {reason}. {_HINT}"
                    raise ClerkUnavailableError(message, wait) from None
            time.sleep(wait)

    def _ask(
        self, path: str, query: Query, decode: Callable[[bytes], Answer]
    ) -> Answer:
        """Ask once. Raises _TryAgainError where asking again may help."""
        api = self._settings.clerk_api_url
        url = api + path if path.startswith("/") else path
        headers = {"accept": "application/json"}
        if url.startswith(f"{api}/v1/"):
            headers["authorization"] = f"Bearer {self._settings.clerk_secret_key}"
            headers["clerk-api-version"] = API_VERSION
        if query:
            url = f"{url}?{urlencode(query)}"
        self.requests += 1
        try:
            response = self._http.request("GET", url, headers=headers, redirect=False)
            if response.status == 200:
                return decode(response.data)
        except urllib3.exceptions.HTTPError as error:
            raise _TryAgainError(f"no answer ({type(error).__name__})") from None
        except (InvalidPayloadError, LookupError, TypeError, ValueError):
            raise _TryAgainError("an unreadable answer") from None
        raise _refusal(response)


class _TryAgainError(Exception):
    def __init__(self, problem: str, wait_seconds: float | None = None) -> None:
        super().__init__(problem)
        self.wait_seconds = wait_seconds


def _refusal(response: urllib3.BaseHTTPResponse) -> Exception:
    """What an answer other than 200 means."""
    if response.status == 429:
        return _TryAgainError("too many requests", _retry_after(response))
    if response.status >= 500:
        return _TryAgainError(f"status {response.status}")
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


def _instance_id(body: bytes) -> str:
    instance = parse_json(body)["id"]
    if not isinstance(instance, str):
        raise TypeError("not an id")
    return instance


def _total_count(body: bytes) -> int:
    return int(parse_json(body)["total_count"])


def _milliseconds(moment: datetime) -> str:
    return str(round(moment.timestamp() * 1000))
