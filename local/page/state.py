"""What the page shows, read from Clerk, the tables and the stub's deliveries.

Nothing is read again while nothing has changed: whether it has, one short query and
some counters tell.
"""

import hashlib
import json
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

import psycopg

from clerksync.clerk.retry import INTERACTIVE
from clerksync.clerk.user import is_clerk_id
from clerksync.errors import ClerksyncError
from clerksync.postgres.database import Database
from clerksync.settings.clerk_client import clerk_client
from clerksync.settings.environment import Settings
from local.page.access import Answer, Event, as_json, refused
from local.page.self_syncs import SelfSyncs
from local.page.tables import Tables
from local.page.users import beside_each_other, compared
from local.stub_clerk.stub import StubClerk
from local.stub_clerk.webhooks.deliveries import Delivery

_DELIVERIES: Final = 50
_GIVEN: Final = ("first_name", "last_name", "email")  # what a person may change
_ONLY_LOOKING: Final = """
    SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
    SET LOCAL statement_timeout = '10s'
"""
# The same snapshot sees the same rows, whoever has written in between.
_SNAPSHOT: Final = "SELECT pg_current_snapshot()::text"


class Reading:
    def __init__(
        self,
        settings: Settings,
        stub: StubClerk | None,
        self_syncs: SelfSyncs,
        *,
        sign_in: Path,
    ) -> None:
        self._stub = stub
        self._self_syncs = self_syncs
        self._sign_in = sign_in
        self._tables = Tables(settings)
        self._clerk = clerk_client(settings, INTERACTIVE)
        # Two requests may run at once, and a connection is one thread's.
        self._database = Database.from_settings(settings)
        self._database_of_user = Database.from_settings(settings)
        self._began = uuid.uuid4().hex

    def close(self) -> None:
        self._database.close()
        self._database_of_user.close()

    def state(self, event: Event) -> Answer:
        """All that the page shows; 304 where it would be what the browser has."""
        search = _parameter(event, "q")
        return _answered(lambda: self._state(event, search))

    def user(self, event: Event) -> Answer:
        """One user, column by column: what Clerk has and what the table has.

        Asks Clerk by id, one request, if it is an id of Clerk's.
        """
        key = _parameter(event, "id")
        if not key:
            return refused(400, "id is missing: the key of a user, such as user_…")
        return _answered(lambda: as_json(200, self._user(key)))

    def _state(self, event: Event, search: str) -> Answer:
        tag = self._tag(search)
        if event["headers"].get("if-none-match") == tag:
            return {"statusCode": 304, "headers": {"etag": tag}}
        counts, runs, users = self._database.run(
            lambda connection: self._read(connection, search)
        )
        state = {
            "stub": self._stub is not None,
            "hook": self._sign_in.exists(),
            "counts": counts,
            "users": users,
            "runs": runs,
            "self_syncs": self._self_syncs.newest(),
        }
        if self._stub is not None:
            counts["clerk"] = self._stub.count
            state["holding"] = self._stub.sender.holding
            newest = self._stub.deliveries[-_DELIVERIES:][::-1]
            state["deliveries"] = [_delivery(delivery) for delivery in newest]
        return as_json(200, state, etag=tag)

    def _tag(self, search: str) -> str:
        """Made before anything is read: what changes meanwhile is read again."""
        snapshot = self._database.run(lambda c: c.execute(_SNAPSHOT).fetchone())
        parts = [self._began, snapshot, self._self_syncs.changes, search]
        parts.append(self._sign_in.exists())
        if self._stub is not None:
            parts += [self._stub.users.changes, self._stub.sender.changes]
        return f'"{hashlib.sha256(repr(parts).encode()).hexdigest()[:32]}"'

    def _read(
        self, connection: psycopg.Connection, search: str
    ) -> tuple[dict[str, int], list[dict[str, Any]], list[dict[str, Any]]]:
        with connection.transaction():
            connection.execute(_ONLY_LOOKING)
            users = beside_each_other(connection, self._tables, self._stub, search)
            counts = self._tables.counts(connection)
            return counts, self._tables.runs(connection), users

    def _user(self, key: str) -> dict[str, Any]:
        user, problem = None, None
        try:
            user = self._clerk.user(key) if is_clerk_id(key) else None
        except ClerksyncError as error:
            problem = str(error)
        row = self._database_of_user.run(
            lambda connection: self._tables.row(connection, key)
        )
        return {
            "id": key,
            "problem": problem,
            "given": user and {name: getattr(user, name) for name in _GIVEN},
            "fields": compared(self._tables, user, row),
        }


def _answered(answer: Callable[[], Answer]) -> Answer:
    try:
        return answer()
    except ClerksyncError as error:
        return refused(503, str(error))
    except psycopg.Error as error:
        kind = type(error).__name__
        return refused(503, f"Postgres refused: {kind} (SQLSTATE {error.sqlstate}).")


def _parameter(event: Event, name: str) -> str:
    found = parse_qs(event["rawQueryString"]).get(name)
    # A NUL is no character for Postgres, and nobody's name.
    return found[0].strip().replace("\0", "") if found else ""


def _delivery(delivery: Delivery) -> dict[str, Any]:
    event = delivery.event
    attempt = delivery.attempts[-1] if delivery.attempts else None
    response: dict[str, Any] = {}
    if attempt is not None:
        with suppress(ValueError):
            response = json.loads(attempt.response)
    return {
        "key": delivery.message_id,
        "type": delivery.event_type,
        "user_id": event["data"]["id"],
        "at": attempt.at_ms if attempt else event["timestamp"],
        "attempts": len(delivery.attempts),
        "standing": _standing(delivery),
        "status": attempt.status if attempt else None,
        "answer": response.get("action") or response.get("error"),
    }


def _standing(delivery: Delivery) -> str:
    if delivery.held:
        return "held"
    if delivery.delivered:
        return "delivered"
    if delivery.given_up:
        return "given up"
    failed = delivery.attempts and not delivery.attempts[-1].succeeded
    return "retrying" if failed else "sending"
