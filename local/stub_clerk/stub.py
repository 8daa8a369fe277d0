"""The stub itself: one Clerk instance with its API, webhooks and session tokens."""

import random
from collections import deque
from collections.abc import Mapping
from typing import Any, Self

from local.stub_clerk import control
from local.stub_clerk.api import routes
from local.stub_clerk.api.listing import ListingSettings
from local.stub_clerk.faults import Fault, FaultPlan, Interfere, StubRequest
from local.stub_clerk.instance import invented_instance
from local.stub_clerk.server import Answer, Call, Server
from local.stub_clerk.session_tokens import SessionKey, session_token
from local.stub_clerk.users.directory import UserDirectory
from local.stub_clerk.users.lifecycle import UserLifecycle
from local.stub_clerk.users.people import invented_users
from local.stub_clerk.webhooks.deliveries import Delivery, Sender
from local.stub_clerk.webhooks.events import signed_headers, user_event
from local.stub_clerk.wire import JSON, now_ms

_SETTINGS = ("latency_ms", "rate_limit", "rate_limit_window_s", "webhook_url")


class StubClerk:
    """A Clerk instance on loopback, with `users` invented users to begin with.

    The same `seed` and `environment_type` give the same instance: users, ids, secret
    key and webhook secret; only the RSA key of session tokens is new each time. Use it
    as a context manager, or call `start` and `close`. Any thread may call any method.

    `time_scale` shortens Svix's retry schedule: 0.001 makes five minutes 0.3 seconds.
    What `__init__` sets without an underscore may be set anew while the stub runs.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        users: int = 0,
        seed: int = 1,
        environment_type: str = "development",
        secret_key: str | None = None,
        webhook_signing_secret: str | None = None,
        webhook_url: str | None = None,
        time_scale: float = 1.0,
    ) -> None:
        self.instance = invented_instance(seed, environment_type)
        self.instance_id = self.instance.id
        self.secret_key = secret_key or self.instance.secret_key
        # Several, separated by spaces, sign each message several times.
        self.webhook_signing_secret = (
            webhook_signing_secret or self.instance.webhook_signing_secret
        )
        self.webhook_url = webhook_url
        self.sender = Sender(lambda: self.webhook_url, self.sign, time_scale)
        self.session_key = SessionKey(self.instance_id)
        rng = random.Random(f"{environment_type} users {seed}")
        directory = UserDirectory(invented_users(users, seed, rng))
        self._lifecycle = UserLifecycle(directory, self._announce, self.now)
        self.listing = ListingSettings()
        self.clock_ahead_s = 0.0  # of this machine's clock
        self.latency_ms = 0.0  # added to each page of users
        # Requests before the 429; at Clerk 100 in development, 1000 in production.
        self.rate_limit: int | None = None
        self.rate_limit_window_s = 10.0
        # Asked about each API request, before it is looked at; it may change users.
        self.interfere: Interfere | None = None
        self.requests = 0
        self.request_log: deque[StubRequest] = deque(maxlen=10_000)
        self._faults = FaultPlan()
        # What needs only one part of the stub is described there.
        self.ids = directory.ids
        self.get_user = directory.user
        self.create_user = self._lifecycle.create
        self.update_user = self._lifecycle.update
        self.delete_user = self._lifecycle.delete
        self.fail_next = self._faults.fail_next
        self.send_event = self.sender.send
        self.replay = self.sender.replay
        self.wait_for_deliveries = self.sender.wait
        self._port = port
        self._server: Server | None = None

    def start(self) -> Self:
        """Listen on 127.0.0.1 and serve from a daemon thread."""
        self._server = Server(self._port, self._answer, lambda: self.clock_ahead_s)
        self._server.start()
        return self

    def close(self) -> None:
        """End the server and the deliveries; returns when their threads are done."""
        self.sender.close()
        if self._server:
            self._server.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Return the base of the Backend API; its paths begin with /v1."""
        if self._server is None:
            raise RuntimeError("the stub has not been started: it has no address yet")
        return f"http://127.0.0.1:{self._server.port}"

    @property
    def issuer(self) -> str:
        """Return the Frontend API's URL: `iss` of tokens, and where the JWKS are."""
        return self.url

    @property
    def publishable_key(self) -> str:
        """Return the key that names the Frontend API's host.

        Who derives an issuer from it gets https, as with Clerk; the stub speaks http.
        """
        return self.instance.publishable_key(self.url.removeprefix("http://"))

    @property
    def jwt_public_key(self) -> str:
        """Return the PEM that verifies session tokens."""
        return self.session_key.public_pem

    @property
    def users(self) -> UserDirectory:
        """Return all users. Set another directory to show Clerk in another state."""
        return self._lifecycle.users

    @users.setter
    def users(self, users: UserDirectory) -> None:
        self._lifecycle.users = users

    @property
    def count(self) -> int:
        """Return how many users there are."""
        return len(self.users)

    def event(
        self, type_: str, user: JSON | str, timestamp_ms: int | None = None
    ) -> JSON:
        """Return the event about a user object, or about the user with that id.

        `timestamp_ms` is Unix milliseconds, by default now. For `user.deleted` an id
        will do, even of nobody; for the others it raises ClerkError 404.
        """
        if isinstance(user, str):
            user = {"id": user} if type_ == "user.deleted" else self.get_user(user)
        at = self.now() if timestamp_ms is None else timestamp_ms
        return user_event(type_, user, self.instance_id, at)

    def sign(
        self, body: bytes, message_id: str | None = None, timestamp: float | None = None
    ) -> dict[str, str]:
        """Return the svix headers for `body`; `timestamp` is Unix seconds, else now."""
        secrets = self.webhook_signing_secret
        return signed_headers(secrets, body, message_id, timestamp)

    def now(self) -> int:
        """Return the time by Clerk's clock, in Unix milliseconds."""
        return now_ms() + round(self.clock_ahead_s * 1000)

    @property
    def deliveries(self) -> list[Delivery]:
        """Return all messages sent so far, oldest first."""
        return list(self.sender.deliveries)

    def session_token(
        self,
        user_id: str,
        *,
        lifetime_seconds: float = 60,
        headers: Mapping[str, Any] | None = None,
        key: Any = None,
        algorithm: str = "RS256",
        **claims: Any,
    ) -> str:
        """Return a session JWT for `user_id`, who need not exist.

        `claims` and `headers` replace Clerk's; one that is None is left out. Another
        `key` or `algorithm` forges: HS256 takes any text as key, `none` takes no key.
        """
        return session_token(
            self.session_key,
            {"sub": user_id, "iss": self.issuer} | claims,
            lifetime_s=lifetime_seconds,
            headers=headers or {},
            key=key,
            algorithm=algorithm,
        )

    def reset_faults(self) -> None:
        """Let all go well again: no planned fault, interference, limit or latency."""
        self._faults.clear()
        self.clock_ahead_s = 0.0
        self.interfere = self.rate_limit = None
        self.latency_ms = 0.0

    def reset_requests(self) -> None:
        """Count and log requests from zero."""
        self.requests = 0
        self.request_log.clear()

    def pause(self, milliseconds: float) -> None:
        """Wait, but no longer than the stub is open."""
        if self._server and milliseconds:
            self._server.closing.wait(milliseconds / 1000)

    def _announce(self, type_: str, user: JSON) -> None:
        if self.webhook_url:
            # A clock that stood still must not date an event before what it tells of.
            at = max(self.now(), user["updated_at"])
            self.sender.send(self.event(type_, user, at))

    def _answer(self, call: Call) -> Answer:
        if call.path.startswith("/stub/"):
            return control.answer(self._commands(), call)
        with self.users.lock:
            self.requests += 1
            request = StubRequest(call.method, call.path, call.query, self.requests)
            self.request_log.append(request)
        fault = self._faults.over_rate_limit(
            request, self.rate_limit, self.rate_limit_window_s
        ) or self._faults.next_planned(request)
        if fault is None and self.interfere:
            fault = self.interfere(request)
        return routes.answer(self._backend(), call, fault)

    def _backend(self) -> routes.Backend:
        return routes.Backend(
            instance=self.instance,
            secret_key=self.secret_key,
            session_key=self.session_key,
            lifecycle=self._lifecycle,
            listing=self.listing,
            page_latency_ms=self.latency_ms,
            pause=self.pause,
        )

    def _commands(self) -> control.Commands:
        return {
            ("GET", "state"): lambda _: self._state(),
            ("POST", "settings"): self._change_settings,
            ("POST", "users"): self._change_users,
            ("POST", "session_token"): self._give_token,
            ("POST", "faults"): self._plan_faults,
        }

    def _state(self) -> JSON:
        return {
            "users": self.count,
            "requests": self.requests,
            "deliveries": len(self.deliveries),
            "delivered": sum(delivery.delivered for delivery in self.deliveries),
        }

    def _change_settings(self, params: dict[str, Any]) -> JSON:
        for name, value in params.items():
            if name not in _SETTINGS:
                raise ValueError(f"{name} is none of {', '.join(_SETTINGS)}")
            setattr(self, name, value)
        return self._state()

    def _change_users(self, params: dict[str, Any]) -> JSON:
        return {"ids": control.change_users(self._lifecycle, **params)}

    def _give_token(self, params: dict[str, Any]) -> JSON:
        user_id = params.pop("user_id", None) or random.choice(self.ids())
        claims = params.pop("claims", {})
        token = self.session_token(user_id, **params, **claims)
        return {"user_id": user_id, "token": token}

    def _plan_faults(self, params: dict[str, Any]) -> JSON:
        if params:
            count, path = params.pop("count", 1), params.pop("path", "/v1/")
            self.fail_next(count, path=path, fault=Fault(**params))
        else:
            self.reset_faults()
        return self._state()
