"""Invented users for a development instance, made through Clerk's own API."""

import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import urllib3

from clerksync.clerk.api import API_VERSION
from clerksync.clerk.rate_limit import RateLimiter, limit_of
from clerksync.clerk.refusal import TryAgainError, refusal
from clerksync.clerk.retry import BULK
from clerksync.errors import (
    ClerkRequestError,
    ClerkUnavailableError,
    InvalidSettingError,
)
from clerksync.settings.clerk_client import clerk_client
from clerksync.settings.environment import Settings
from local.stub_clerk.users.people import invented_names

_TEST_KEY: Final = "sk_test_"
_TRIES: Final = 5
_TIMEOUT_SECONDS: Final = 30
# Clerk takes 100 addresses in a query, but not every proxy so long a URL.
_BATCH: Final = 50
_PLANS: Final[tuple[dict[str, Any], ...]] = ({}, {}, {"tier": "PRO"}, {"seats": 5})
_NAMES: Final = frozenset({"first_name", "last_name"})
_FULL: Final = (
    " Is the instance full? A development instance takes 100 users, unless Clerk has "
    "raised that."
)

JSON = dict[str, Any]


@dataclass(slots=True)
class Seeded:
    """How many users were made, and how many were there before."""

    made: int = 0
    there: int = 0


def seed_users(
    settings: Settings,
    *,
    users: int,
    seed: int,
    is_stub: bool,
    progress: Callable[[int, int], None],
) -> Seeded:
    """Make users 0 to `users` of a seed. Those that are there are left alone, so that
    it can be called again after whatever ended it.

    Raises InvalidSettingError, and makes nobody, for a live instance;
    ClerkRequestError for what Clerk refuses.
    """
    refuse_live(settings)
    seeder = _Seeder(settings, is_stub=is_stub)
    seeded = Seeded()
    for start in range(0, users, _BATCH):
        numbers = range(start, min(start + _BATCH, users))
        batch = {invented_email(n, seed): invented_user(n, seed) for n in numbers}
        there = seeder.find(list(batch))
        for email, user in batch.items():
            is_new = email not in there and seeder.make(
                {"email_address": [email]} | user
            )
            seeded.made += is_new
            seeded.there += not is_new
            progress(seeded.made + seeded.there, users)
    return seeded


def refuse_live(settings: Settings) -> None:
    """Raises InvalidSettingError unless both the key and the instance that Clerk says
    it is of are for development."""
    if not settings.clerk_secret_key.startswith(_TEST_KEY):
        raise InvalidSettingError(
            "Invented users are made in a development instance only, and "
            f"CLERK_SECRET_KEY does not begin with {_TEST_KEY}."
        )
    instance = clerk_client(settings, BULK).instance()
    if instance.is_production:
        raise InvalidSettingError(
            f"CLERK_SECRET_KEY is of {instance.id}, a production instance: invented "
            "users are made in a development instance only."
        )


def invented_email(number: int, seed: int) -> str:
    """An address to which Clerk sends nothing, and whose code is always 424242."""
    return f"seed{seed}-user{number}+clerk_test@example.com"


def invented_user(number: int, seed: int) -> JSON:
    """The rest of a user, always the same for a number and a seed."""
    rng = random.Random(f"clerksync seed {seed} user {number}")
    firsts, lasts = invented_names(seed)
    return {
        "first_name": rng.choice(firsts),
        "last_name": rng.choice(lasts),
        "public_metadata": rng.choice(_PLANS),
        "skip_password_requirement": True,
        "skip_legal_checks": True,
    }


class _Seeder:
    """Asks Clerk, within its rate limit and as often as it takes."""

    def __init__(self, settings: Settings, *, is_stub: bool) -> None:
        self._url = f"{settings.clerk_api_url}/v1/users"
        self._headers = {
            "accept": "application/json",
            "authorization": f"Bearer {settings.clerk_secret_key}",
            "clerk-api-version": API_VERSION,
            "content-type": "application/json",
        }
        self._http = urllib3.PoolManager(retries=False)
        limit = settings.clerk_rate_limit
        if limit is None and not is_stub:
            limit = limit_of(is_production=False)
        self._limiter = RateLimiter(limit)
        self._left_out: frozenset[str] = frozenset()

    def find(self, emails: Sequence[str]) -> set[str]:
        """Those of the addresses that a user has."""
        query = [("limit", str(len(emails))), *(("email_address", e) for e in emails)]
        response = self._ask("GET", f"{self._url}?{urlencode(query)}")
        if response.status != 200:
            raise refusal(response, about_user=False)
        entries = [
            entry for user in response.json() for entry in user["email_addresses"]
        ]
        return {entry["email_address"] for entry in entries}

    def make(self, user: JSON) -> bool:
        """Whether the user is new; not so when somebody has the address by now."""
        while True:
            sent = {k: v for k, v in user.items() if k not in self._left_out}
            response = self._ask("POST", self._url, json.dumps(sent))
            if response.status == 200:
                return True
            code = _code(response)
            if code == "form_identifier_exists":
                return False
            if code == "form_param_unknown" and not self._left_out:
                self._left_out = _NAMES  # this instance asks for none
                continue
            error = refusal(response, about_user=False)
            if response.status == 403:
                raise ClerkRequestError(f"{error}{_FULL}", 403)
            raise error

    def _ask(
        self, method: str, url: str, body: str | None = None
    ) -> urllib3.BaseHTTPResponse:
        """The first answer of Clerk's own that is neither a 429 nor a 5xx. A user may
        be made although the answer was lost: asked again, Clerk says that the address
        is taken."""
        tries = 0
        while True:
            if wait := self._limiter.seconds_to_wait():
                time.sleep(wait)
                continue
            try:
                response = self._http.request(
                    method,
                    url,
                    body=body,
                    headers=self._headers,
                    redirect=False,
                    timeout=_TIMEOUT_SECONDS,
                )
                if response.status == 200:
                    return response
                problem = refusal(response, about_user=False)
                if not isinstance(problem, TryAgainError):
                    return response
            except urllib3.exceptions.HTTPError as error:
                problem = TryAgainError(f"no answer ({type(error).__name__})")
            if problem.too_many_requests:
                asked = problem.retry_after_seconds or 1.0
                self._limiter.pause(min(asked, BULK.longest_pause_seconds))
                continue
            tries += 1
            if tries == _TRIES:
                message = f"Clerk cannot be asked: {problem}. Call this again later."
                raise ClerkUnavailableError(message)
            time.sleep(0.5 * 2**tries)


def _code(response: urllib3.BaseHTTPResponse) -> str:
    """Of the first error that Clerk names."""
    try:
        return str(response.json()["errors"][0]["code"])
    except (ValueError, LookupError, TypeError):
        return ""
