"""The part of Clerk's Backend API that sync needs."""

import copy
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Self, TypeVar
from urllib.parse import urlencode

import urllib3

from clerksync.clerk.headers import sent_at
from clerksync.clerk.rate_limit import RateLimiter
from clerksync.clerk.refusal import TryAgainError, refusal
from clerksync.clerk.retry import Patience, insist
from clerksync.clerk.user import (
    IDS_LIMIT,
    ClerkUser,
    Page,
    is_clerk_id,
    parse_json,
    parse_page,
    parse_user,
)
from clerksync.errors import (
    ClerkRequestError,
    ClerkUnavailableError,
    InvalidPayloadError,
    OutOfTimeError,
    UnreadableUserError,
)
from clerksync.observability import count
from clerksync.time_limit import seconds_left

API_VERSION: Final = "2026-05-12"
PAGE_LIMIT: Final = 500
GRACE_SECONDS: Final = 5.0
"""What was asked before the deadline may be answered for so long after it."""
OUT_OF_TIME: Final = "The time of the run was over."
_LEAST_SECONDS: Final = 0.1
_ONE_USER: Final = "/v1/users/user_"

Answer = TypeVar("Answer")
Query = Sequence[tuple[str, str]]


class Instance(NamedTuple):
    id: str
    is_production: bool


class ClerkApi:
    """One instance of Clerk, over kept-alive connections. Safe for threads.

    Every method raises ClerkUnavailableError when Clerk does not answer usefully, and
    ClerkRequestError when it refuses: 401 for a wrong key, among others. All threads
    keep one rate limit, and a 429 to one of them stops all for as long as it says.
    """

    def __init__(
        self,
        patience: Patience,
        *,
        url: Callable[[], str],
        secret_key: Callable[[], str],
        user_model: Callable[[], type[ClerkUser]] = lambda: ClerkUser,
        refresh: Callable[[], bool] = lambda: False,
    ) -> None:
        """`url` and `secret_key` are read at each request that needs them. `refresh`
        is called when Clerk refused the key: whether there may be another one now."""
        self._url = url
        self._secret_key = secret_key
        self._user_model = user_model
        self._refresh = refresh
        self._patience = patience
        self._http = urllib3.PoolManager(maxsize=32, retries=False)
        self.rate_limiter = RateLimiter()
        self._lock = threading.Lock()
        self.deadline = math.inf
        self._stopped = threading.Event()
        self._access: tuple[str, str] | None = None
        self._dated: tuple[int, float] | None = None
        self.requests = 0

    def for_run(self, deadline: float = math.inf) -> Self:
        """The same connections and limit for one run, with a count of its own.

        It keeps the key that it began with: another one may be of another instance.
        After `deadline` (of time.monotonic()) or `stop` it asks no more: every method
        raises OutOfTimeError.
        """
        api = copy.copy(self)
        api.deadline = deadline
        api._access = self._url(), self._secret_key()  # noqa: SLF001 - of this very class
        api._stopped = threading.Event()  # noqa: SLF001 - as above
        api._dated = None  # noqa: SLF001 - as above
        api.requests = 0
        return api

    def stop(self) -> None:
        self._stopped.set()

    def now(self) -> int | None:
        """Return what time it is by Clerk's clock, in Unix ms: by the Date of the last
        response, so up to a second less. None before the first one."""
        if self._dated is None:
            return None
        at, received = self._dated
        return at + round((time.monotonic() - received) * 1000)

    def instance(self) -> Instance:
        """Which instance the secret key belongs to."""
        return self._get("/v1/instance", (), _instance)

    def count(self, *, created_before: int) -> int:
        """How many users were created before a time of Clerk's clock, in Unix ms."""
        query = [("created_at_before", str(created_before))]
        return self._get("/v1/users/count", query, _total_count)

    def user(self, clerk_id: str) -> ClerkUser | None:
        """One user by id; None when Clerk says, with its own error code, that it does
        not know the user. Raises UnreadableUserError, which names the fields that
        cannot be read."""
        try:
            path = f"/v1/users/{clerk_id}"
            return self._get(path, (), self._parse_user)
        except ClerkRequestError as error:
            if error.status == 404:
                return None
            raise

    def users_by_id(self, clerk_ids: Sequence[str]) -> list[ClerkUser]:
        """Those of up to 100 users that Clerk knows. Raises InvalidPayloadError when
        one of them cannot be read: it would pass for gone. A page of other users is no
        answer: something has left out the question."""
        if len(clerk_ids) > IDS_LIMIT:
            raise ValueError(f"at most {IDS_LIMIT} ids")
        # Asked by id, the listing still obeys its limit, which is 10 unless told.
        query = [("limit", str(IDS_LIMIT)), *(("user_id", i) for i in clerk_ids)]
        asked = set(clerk_ids)

        def read(body: bytes) -> Page:
            page = self.parse_page(body)
            if not asked.issuperset(page.ids):
                raise ValueError("other users")
            return page

        page = self._get("/v1/users", query, read)
        if page.unreadable:
            raise InvalidPayloadError("A user that was asked for by id is unreadable.")
        return page.users

    def created_page(
        self,
        *,
        created_after: int | None,
        created_before: int,
        starting_after: str | None,
        read: Callable[[bytes], Answer],
    ) -> Answer:
        """A page of the listing, oldest first, 500 users; a shorter one is the last.

        Gives what `read` makes of it; where that raises InvalidPayloadError, the page
        is asked for again. Bounds are Unix ms. Whether they are inclusive Clerk does
        not say.
        """
        query = [
            ("limit", str(PAGE_LIMIT)),
            ("order_by", "+created_at"),
            ("created_at_before", str(created_before)),
        ]
        if created_after is not None:
            query.append(("created_at_after", str(created_after)))
        if starting_after is not None:
            query.append(("starting_after", starting_after))
        return self._get("/v1/users", query, read)

    def parse_page(self, body: bytes) -> Page:
        """Decode as much of each user as the target table needs."""
        return parse_page(body, self._user_model())

    def updated_page(self, *, offset: int) -> Page:
        """A page of the listing, last updated first. Clerk has no updated_at filter."""
        query = [
            ("limit", str(PAGE_LIMIT)),
            ("order_by", "-updated_at"),
            ("offset", str(offset)),
        ]
        return self._get("/v1/users", query, self.parse_page)

    def jwks_url(self, issuer: str | None) -> str:
        """The issuer's key set is public; the Backend API's needs the secret key."""
        if issuer is not None:
            return f"{issuer}/.well-known/jwks.json"
        return f"{self._url()}/v1/jwks"

    def jwks(self, url: str) -> Mapping[str, Any]:
        jwks = self._get(url, (), parse_json)
        if not isinstance(jwks, dict):
            raise ClerkUnavailableError("Clerk's key set is not a JSON object.")
        return jwks

    def _parse_user(self, body: bytes) -> ClerkUser:
        user = parse_json(body)
        try:
            return parse_user(user, self._user_model())
        except InvalidPayloadError as error:
            if isinstance(user, dict) and is_clerk_id(user.get("id")):
                message = f"Clerk's response for {user['id']} cannot be used. {error}"
                raise UnreadableUserError(message) from None
            raise  # not of Clerk, but of something that stands between

    def _get(
        self, path: str, query: Query, decode: Callable[[bytes], Answer]
    ) -> Answer:
        def ask() -> Answer:
            return self._ask(path, query, decode)

        try:
            try:
                return self._insist(ask)
            except ClerkRequestError as error:
                if error.status != 401 or not self._renew_key():
                    raise
                return self._insist(ask)
        except ClerkRequestError as error:
            count("ClerkErrors", error.status != 404)
            raise

    def _insist(self, ask: Callable[[], Answer]) -> Answer:
        return insist(ask, self._patience, self.rate_limiter, sleep=self._sleep)

    def _renew_key(self) -> bool:
        """Whether there is another key by now. In the middle of a run none is taken: it
        may be of another instance."""
        if self._access and self.requests > 1:
            return False
        renewed = self._refresh()
        if renewed and self._access:
            self._access = self._url(), self._secret_key()
        return renewed

    def _sleep(self, seconds: float) -> None:
        until = min(time.monotonic() + seconds, self.deadline)
        self._stopped.wait(max(0.0, until - time.monotonic()))
        self._check_time()

    def _timeout(self) -> float:
        left = min(self.deadline - time.monotonic() + GRACE_SECONDS, seconds_left())
        return min(self._patience.timeout_seconds, max(left, _LEAST_SECONDS))

    def _check_time(self) -> None:
        if self._stopped.is_set() or time.monotonic() >= self.deadline:
            raise OutOfTimeError(OUT_OF_TIME)

    def _ask(
        self, path: str, query: Query, decode: Callable[[bytes], Answer]
    ) -> Answer:
        """Ask once. Raises TryAgainError where asking again may help."""
        self._check_time()
        api, key = self._access or (self._url(), None)
        url = api + path if path.startswith("/") else path
        headers = {"accept": "application/json"}
        if url.startswith(f"{api}/v1/"):
            headers["authorization"] = f"Bearer {key or self._secret_key()}"
            headers["clerk-api-version"] = API_VERSION
        if query:
            url = f"{url}?{urlencode(query)}"
        with self._lock:
            self.requests += 1
        try:
            response = self._http.request(
                "GET", url, headers=headers, redirect=False, timeout=self._timeout()
            )
            received = time.monotonic()
            if response.status == 200:
                answer = decode(response.data)
                if (at := sent_at(response.headers)) is not None:
                    self._dated = at, received
                return answer
        except urllib3.exceptions.HTTPError as error:
            raise TryAgainError(f"no answer ({type(error).__name__})") from None
        except (InvalidPayloadError, LookupError, TypeError, ValueError):
            raise TryAgainError("an unreadable answer") from None
        raise refusal(response, about_user=path.startswith(_ONE_USER))


def _instance(body: bytes) -> Instance:
    instance = parse_json(body)
    if not isinstance(instance["id"], str):
        raise TypeError("not an id")
    return Instance(instance["id"], instance.get("environment_type") == "production")


def _total_count(body: bytes) -> int:
    return int(parse_json(body)["total_count"])
