"""Where histories take place: functions, Clerk and Postgres in one process."""

import gc
import importlib.util
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Final

import psycopg
import pytest

from clerksync.bulk.report import Report
from clerksync.bulk.request import BulkSyncRequest
from clerksync.bulk.run import BulkSync
from clerksync.clerk.retry import BULK
from clerksync.observability import logger
from clerksync.postgres.database import Database
from clerksync.settings.clerk_client import clerk_client
from clerksync.settings.environment import Settings
from local.stub_clerk.stub import StubClerk
from tests.clock import RunClock
from tests.convergence.look import Look, look
from tests.convergence.model_clerk import Delivery, Person
from tests.convergence.wire import Wire
from tests.doors import Answer, api_request, ask, ask_this_clerk, forget_settings
from tests.postgres import new_database

_FUNCTIONS: Final = Path(__file__).parents[2] / "functions"
# Three pages are a walk, and two batches a load, so that a few people suffice for what
# happens between them.
_PAGE: Final = 3
_SIZES: Final = {
    "clerk.api.PAGE_LIMIT": _PAGE,
    "bulk.listing.PAGE_LIMIT": _PAGE,
    "bulk.windows.PAGE_LIMIT": _PAGE,
    "bulk.listing._OFFSET_OVERLAP": 1,
    "bulk.windows._WORTH_HALVING": _PAGE,
    "bulk.fetch._SMALLEST": _PAGE + 1,
    "bulk.fetch._LARGEST": _PAGE + 1,
    # Clerk fails on purpose here: nobody has to wait until it is better.
    "clerk.retry._BACKOFF_SECONDS": 0.0002,
}
_EMPTY: Final = (
    b"DELETE FROM users; DELETE FROM sync_state;"
    b" DELETE FROM sync_runs; DELETE FROM sync_run_listed"
)
_TABLES: Final = (
    "users",
    "rate_limits",
    "sync_state",
    "sync_runs",
    "sync_run_listed",
)
_EMPTIER: Final = b"TRUNCATE users, rate_limits, sync_state, sync_runs, sync_run_listed"
_BACKENDS: Final = """
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name = 'clerksync' AND datname = current_database()
"""
_TRUNCATE_EVERY: Final = 20
_TOKEN_SECONDS: Final = 40


class BulkSyncRaisedError(Exception):
    """The bulk sync function raised what Lambda would be shown."""


@dataclass(eq=False)
class Arena:
    clerk: StubClerk
    other_clerk: StubClerk
    """Of another instance."""
    wire: Wire
    inspector: psycopg.Connection
    """Of which the functions know nothing."""
    clock: RunClock
    environment: pytest.MonkeyPatch
    functions: dict[str, ModuleType]
    was_connected: bool = False
    """The function asked last had a connection then that nobody had ended."""
    _connected: set[str] = field(default_factory=set)
    _tokens: dict[str, tuple[float, str]] = field(default_factory=dict)
    _histories: int = 0

    def deliver(self, delivery: Delivery) -> Answer:
        """As Svix does: signed anew at each try."""
        headers = self.clerk.sign(delivery.body)
        path = "/api/webhooks/clerk"
        event = api_request("POST", path, body=delivery.body, headers=headers)
        return ask(self._asked("webhook"), event)

    def self_sync(self, person: Person, method: str = "POST") -> Answer:
        path = "/api/users/sync" if method == "POST" else "/api/users/me"
        bearer = {"authorization": f"Bearer {self._token(person.id)}"}
        event = api_request(method, path, headers=bearer)
        return ask(self._asked("self_sync"), event)

    def bulk_sync(self, event: dict[str, Any], seconds: float = 0) -> dict[str, Any]:
        """The report. Raises BulkSyncRaisedError when there is none.

        With `seconds`, Lambda lets it run for so long.
        """
        app = self._asked("bulk_sync")
        arn = "arn:aws:lambda:eu-central-1:123456789012:function:bulk"
        context = SimpleNamespace(
            get_remaining_time_in_millis=lambda: seconds * 1000,
            invoked_function_arn=arn,
        )
        try:
            report: dict[str, Any] = app.handler(event, context if seconds else None)
        except app.BulkSyncFailedError as error:
            raise BulkSyncRaisedError(str(error)) from None
        return report

    def other_bulk_sync(self, mode: str) -> Report:
        """A run of another execution environment, which may be at the same time."""
        database = Database(lambda: self.wire.url)
        settings = Settings()
        try:
            sync = BulkSync(settings, database, clerk_client(settings, BULK))
            return sync.run(BulkSyncRequest.from_event({"mode": mode}))
        finally:
            database.close()

    def look(self) -> Look:
        return look(self.inspector)

    def reset(self) -> None:
        """Empty tables, and nothing left of what went wrong before."""
        self.quieten()
        for app in self.functions.values():
            app.database.close()
        self._connected.clear()
        self._histories += 1
        every_now_and_then = self._histories % _TRUNCATE_EVERY == 0
        self.inspector.execute(_EMPTIER if every_now_and_then else _EMPTY)

    def hang_up(self) -> int:
        """End all connections, as a restart does; tells how many."""
        self._connected.clear()
        return self.wire.hang_up()

    def quieten(self) -> None:
        """No more faults; and whoever was cut off has come to an end."""
        self.clerk.reset_faults()
        self.wire.plan({})
        self.wait_for_the_cut_off()

    def wait_for_the_cut_off(self) -> None:
        """Postgres may still work for a client that has gone."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            row = self.inspector.execute(_BACKENDS).fetchone()
            if row is not None and row[0] <= self.wire.links:
                return
            time.sleep(0.001)
        raise AssertionError("a backend whose client has gone does not end")

    def age_runs(self) -> None:
        """Let two hours pass for the ledger."""
        self.inspector.execute(
            "UPDATE sync_runs SET started_at = started_at - interval '2 hours',"
            " finished_at = finished_at - interval '2 hours'"
        )

    def back_up(self) -> None:
        """Keep all tables as they are now."""
        for table in _TABLES:
            backup = f"backup_of_{table}"
            self.inspector.execute(
                f"DROP TABLE IF EXISTS {backup};"
                f"CREATE TEMPORARY TABLE {backup} AS TABLE {table}".encode()
            )

    def restore(self, *tables: str) -> None:
        """Put tables back as they were then, as pg_restore does: in transactions of
        their own."""
        for table in tables:
            self.inspector.execute(f"DELETE FROM {table}".encode())
            self.inspector.execute(
                f"INSERT INTO {table} SELECT * FROM backup_of_{table}".encode()
            )

    def instance_is_known(self) -> bool:
        query = "SELECT FROM sync_runs WHERE instance_id IS NOT NULL LIMIT 1"
        return self.inspector.execute(query).fetchone() is not None

    @contextmanager
    def another_instance(self) -> Iterator[None]:
        """The settings name the key of another instance."""
        ask_this_clerk(self.environment, self.other_clerk)
        try:
            yield
        finally:
            ask_this_clerk(self.environment, self.clerk)

    def _asked(self, name: str) -> ModuleType:
        self.was_connected = name in self._connected
        self._connected.add(name)
        return self.functions[name]

    def _token(self, clerk_id: str) -> str:
        """Signing one costs as much as a whole request."""
        made_at, token = self._tokens.get(clerk_id, (0.0, ""))
        if time.monotonic() - made_at > _TOKEN_SECONDS or not token:
            token = self.clerk.session_token(clerk_id)
            self._tokens[clerk_id] = time.monotonic(), token
        return token


@contextmanager
def arena(server_url: str) -> Iterator[Arena]:
    """Set everything up, and leave the process as it was."""
    level, thresholds = logger.log_level, gc.get_threshold()
    switch_interval = sys.getswitchinterval()
    with (
        new_database(server_url) as url,
        psycopg.connect(url, autocommit=True) as inspector,
        StubClerk(seed=1) as clerk,
        StubClerk(seed=2, users=2) as other_clerk,
        pytest.MonkeyPatch.context() as patch,
    ):
        # They are told of faults all the time.
        logger.setLevel(logging.CRITICAL)
        logging.getLogger("psycopg").setLevel(logging.CRITICAL)
        wire = Wire(url)
        _set(patch, clerk, wire.url)
        names = ("webhook", "self_sync", "bulk_sync")
        functions = {name: _cold_started(name) for name in names}
        try:
            yield Arena(
                clerk, other_clerk, wire, inspector, RunClock(patch), patch, functions
            )
        finally:
            for app in functions.values():
                app.database.close()
                with suppress(AttributeError):  # the webhook asks no Clerk
                    app.clerk._http.clear()
            wire.close()
            logger.setLevel(level)
            logging.getLogger("psycopg").setLevel(logging.NOTSET)
            # Two bulk runs at once each put back what they found.
            gc.set_threshold(*thresholds)
            sys.setswitchinterval(switch_interval)


def _set(patch: pytest.MonkeyPatch, clerk: StubClerk, database_url: str) -> None:
    forget_settings(patch)
    ask_this_clerk(patch, clerk)
    patch.setenv("DATABASE_URL", database_url)
    patch.setenv("CLERK_WEBHOOK_SIGNING_SECRET", clerk.webhook_signing_secret)
    patch.setenv("CLERK_JWT_KEY", clerk.jwt_public_key)
    patch.setenv("CLERK_ISSUER", clerk.issuer)
    patch.setenv("CLERKSYNC_RATE_LIMIT", "100000")
    # A run out of time would ask Lambda for the next one.
    patch.setenv("CLERKSYNC_MAX_CONTINUATIONS", "0")
    patch.setenv("POWERTOOLS_METRICS_DISABLED", "true")
    for name, value in _SIZES.items():
        patch.setattr(f"clerksync.{name}", value)


def _cold_started(name: str) -> ModuleType:
    """A function as in an execution environment of its own."""
    path = _FUNCTIONS / name / "app.py"
    spec = importlib.util.spec_from_file_location(f"convergence_{name}", path)
    if spec is None or spec.loader is None:
        raise AssertionError(f"no function at {path}")
    app = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(app)
    return app
