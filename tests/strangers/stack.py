"""The functions behind the API, and everything that they say while they are asked."""

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any

import psycopg

from clerksync.clerk.rate_limit import RateLimiter
from clerksync.clerk.session_token import SessionVerifier
from functions.self_sync import app as self_sync
from functions.webhook import app as webhook
from local.stub_clerk.stub import StubClerk
from tests.doors import Answer, ask, assert_tells_nothing_private, log_on_stdout
from tests.integration.functions.self_sync.door import Door as SelfSyncDoor
from tests.integration.functions.webhook.door import PATH as WEBHOOK
from tests.integration.functions.webhook.door import Door as WebhookDoor
from tests.strangers.description import assert_described


@dataclass
class Stack:
    """Clerk with one user, who is in the table, and the two doors."""

    clerk: StubClerk
    user_id: str
    connection: psycopg.Connection
    log: io.StringIO
    asked: int = 0

    @property
    def webhooks(self) -> WebhookDoor:
        return WebhookDoor(self.clerk)

    @property
    def self_syncs(self) -> SelfSyncDoor:
        return SelfSyncDoor(self.clerk, self.user_id, [])

    def ask(self, event: Mapping[str, Any]) -> Answer:
        """Hand over a request. Whatever it is, the answer is as described, and neither
        answer nor log tells anything."""
        self.asked += 1
        self.log.seek(0)
        self.log.truncate()
        method = event["requestContext"]["http"]["method"]
        path = event["rawPath"]
        answer = ask(webhook if path == WEBHOOK else self_sync, event)
        assert_described(method, path, answer.status, answer.headers, answer.body)
        if answer.status != 200:
            assert_tells_nothing_private(answer.error)
        assert_tells_nothing_private(self.log.getvalue())
        return answer


@contextmanager
def assembled(
    database_url: str, set_variable: Callable[[str, str], None]
) -> Iterator[Stack]:
    """Set the environment, and hear all that is logged while the block runs."""
    log = io.StringIO()
    with (
        StubClerk() as clerk,
        psycopg.connect(database_url, autocommit=True) as connection,
        log_on_stdout(),
        redirect_stdout(log),
    ):
        user = clerk.create_user(
            email="noor@example.com", first_name="Noor", last_name="Castell"
        )
        settings = {
            "DATABASE_URL": database_url,
            "CLERK_API_URL": clerk.url,
            "CLERK_SECRET_KEY": clerk.secret_key,
            "CLERK_ISSUER": clerk.issuer,
            "CLERK_WEBHOOK_SIGNING_SECRET": clerk.webhook_signing_secret,
        }
        for name, value in settings.items():
            set_variable(name, value)
        # Cold: without the keys and the rate limit of another Clerk.
        self_sync.sessions = SessionVerifier(self_sync.clerk.jwks)
        self_sync.clerk.rate_limiter = RateLimiter()
        stack = Stack(clerk, user["id"], connection, log)
        try:
            assert stack.self_syncs.sync().status == 200
            yield stack
        finally:
            webhook.database.close()
            self_sync.database.close()
            self_sync.clerk._http.clear()
