"""clerksync keeps an application's Postgres `users` table in sync with Clerk.

An application's own server code needs one class: `Clerksync`.
"""

import os
from typing import TYPE_CHECKING

from clerksync.errors import ClerksyncError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Self, TypeVar

    import psycopg

    from clerksync.postgres.database import Database
    from clerksync.write.rate_limits import Decision

    Result = TypeVar("Result")

__all__ = ["Clerksync", "ClerksyncError"]

# Pydantic looks through all installed packages for plugins, at each cold start.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

_SECONDS = 7.0


class Clerksync:
    """Tells your server code who calls, and gives it the user's row and rate limit.

    Settings come from the environment, as for the functions. They are read and
    connections are opened when a call needs them.

    Safe for threads: make one for the whole process. Each thread that calls gets its
    own connection to Postgres, which is closed when the thread is gone. `close`, or the
    end of a `with` block, closes all of them; a later call opens a new one. After a
    fork, make a new one.

    A call waits at most 7 seconds in all. What goes wrong is raised as ClerksyncError,
    whose `http_status` is the status to respond with; whatever else Postgres reports is
    raised as psycopg.Error.
    """

    def __init__(self) -> None:
        # The functions import this package, too, and must not pay for any of this.
        import threading
        import weakref

        from clerksync.clerk.retry import INTERACTIVE
        from clerksync.clerk.session_token import SessionVerifier
        from clerksync.settings.clerk_client import clerk_client
        from clerksync.settings.environment import Settings

        self._settings = Settings()
        self._clerk = clerk_client(self._settings, INTERACTIVE)
        self._sessions = SessionVerifier(self._clerk.jwks)
        self._of_thread = threading.local()
        self._lock = threading.Lock()
        self._closers: list[weakref.finalize[Any, Any]] = []

    def authenticate(
        self, headers: "Mapping[str, str]", cookies: "Mapping[str, str] | None" = None
    ) -> str:
        """Return the Clerk ID of the user whose session token a request carries.

        The token is the bearer token of the `Authorization` header, else the cookie
        `__session`. Raises NotAuthenticatedError (401).
        """
        from clerksync.clerk.session_token import find_token
        from clerksync.time_limit import time_limit

        by_lower_case = {name.lower(): value for name, value in headers.items()}
        issuer = self._settings.clerk_issuer
        with time_limit(_SECONDS):
            return self._sessions.verify(
                find_token(by_lower_case, cookies or {}),
                pem=self._settings.clerk_jwt_key,
                jwks_url=self._clerk.jwks_url(issuer),
                issuer=issuer,
                authorized_parties=self._settings.authorized_parties,
            )

    def ensure_user(self, clerk_id: str) -> "dict[str, Any]":
        """Return the user's row. If the request arrives before the webhook, sync the
        user first.

        One query if the row is there, without a request to Clerk. Raises
        NotAuthenticatedError (401) for a user whom Clerk does not know or who was
        deleted meanwhile, MissingEmailError (400), InvalidPayloadError (400) for what
        the table cannot hold, UnreadableUserError (500) for a response of Clerk's that
        cannot be read, and ClerkUnavailableError (503).
        """
        from clerksync.doors.ensure_user import ensure_user
        from clerksync.time_limit import time_limit
        from clerksync.write.user_table import UserTable

        with time_limit(_SECONDS):
            users = UserTable.from_settings(
                self._database(), self._settings, self._clerk.users_by_id
            )
            return ensure_user(users, self._clerk, clerk_id)

    def consume(self, clerk_id: str, cost: float = 1) -> "Decision":
        """Take `cost` tokens from the user's bucket, if it has as many. One round trip.

        A user without a row is answered by a full bucket and not counted: call
        `ensure_user` first. Raises ValueError unless `cost` is a number above 0.
        """
        from clerksync.time_limit import time_limit
        from clerksync.write.rate_limits import consume

        schema = self._settings.schema
        with time_limit(_SECONDS):
            return consume(self._database(), clerk_id, cost, schema=schema)

    def run(self, work: "Callable[[psycopg.Connection], Result]") -> "Result":
        """Run a unit of work of your own on the thread's connection, in autocommit.

        It may be run again: once over a new connection, and up to 5 times after a
        collision with another transaction. Raises SchemaOutdatedError if `work` names
        a table or column that does not exist, and psycopg.Error.
        """
        from clerksync.time_limit import time_limit

        with time_limit(_SECONDS):
            return self._database().run(work)

    def close(self) -> None:
        """Close the connections of all threads."""
        import threading

        with self._lock:
            closers, self._closers = self._closers, []
            self._of_thread = threading.local()
        for close in closers:
            close()

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _database(self) -> "Database":
        import threading
        import weakref

        from clerksync.postgres.database import Database

        database: Database | None = getattr(self._of_thread, "database", None)
        if database is None:
            database = Database.from_settings(self._settings)
            close = weakref.finalize(threading.current_thread(), database.close)
            with self._lock:
                self._of_thread.database = database
                self._closers = [c for c in self._closers if c.alive] + [close]
        return database
