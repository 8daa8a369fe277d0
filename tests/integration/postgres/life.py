"""One life of an application's table, through every entry point, for comparison."""

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from clerksync.clerk.session_token import SessionVerifier
from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate
from clerksync.settings.environment import Settings
from clerksync.write.rate_limits import consume
from functions.bulk_sync import app as bulk_sync
from functions.self_sync import app as self_sync
from functions.webhook import app as webhook
from local.status import look
from local.stub_clerk.stub import StubClerk
from tests.doors import api_request, ask, ask_this_clerk, forget_settings, log_on_stdout

NAME = "Zoë🦄"
TABLE = """
    members (
        clerk text PRIMARY KEY, email text UNIQUE, name text, plan jsonb,
        score double precision, exact numeric, banned boolean, joined timestamptz,
        seen timestamp, flags boolean[], tier text, made timestamptz, changed timestamp
    )
"""
MAPPING = """
[table]
name = "members"
key = "clerk"
tier = "tier"
created_at = "made"
updated_at = "changed"
rate_limits = true
[columns]
email = "email"
name = "first_name"
plan = "public_metadata"
score = { from = "public_metadata.score", type = "numeric" }
exact = { from = "public_metadata.score", type = "numeric" }
banned = "banned"
joined = "created_at"
seen = { from = "updated_at", type = "timestamp" }
[defaults]
flags = "{true,false}"
"""
# What reads the table afterwards must not depend on the owner's settings either.
_PLAIN = " ".join(
    f"-c {setting}"
    for setting in (
        "client_encoding=utf8",
        "DateStyle=ISO",
        "TimeZone=UTC",
        "extra_float_digits=1",
        "search_path=public",
    )
)


def people(clerk: StubClerk) -> None:
    """Create three users whose data takes every path that a format could spoil."""
    for number, name in enumerate((NAME, "O'Brien\\n", 'NULL "{}" € ')):
        clerk.create_user(
            email=f"user{number}@example.com",
            first_name=name,
            public_metadata={"score": 0.1 + 0.2, "words": [name, "a\\b", None]},
        )


@contextmanager
def application(
    monkeypatch: pytest.MonkeyPatch, clerk: StubClerk, url: str, folder: Path
) -> Iterator[None]:
    """All functions, as deployed for that database and Clerk instance."""
    mapping = folder / "members.toml"
    mapping.write_text(MAPPING, "utf-8")
    forget_settings(monkeypatch)
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("CLERKSYNC_MAPPING", str(mapping))
    monkeypatch.setenv("CLERKSYNC_SCHEMA", "public")
    ask_this_clerk(monkeypatch, clerk)
    monkeypatch.setenv("CLERK_ISSUER", clerk.issuer)
    monkeypatch.setenv("CLERK_WEBHOOK_SIGNING_SECRET", clerk.webhook_signing_secret)
    monkeypatch.setattr(self_sync, "sessions", SessionVerifier(self_sync.clerk.jwks))
    with log_on_stdout():
        try:
            yield
        finally:
            for app in (webhook, self_sync, bulk_sync):
                app.database.close()


def _email(clerk: StubClerk, user_id: str) -> str:
    return str(clerk.get_user(user_id)["email_addresses"][0]["email_address"])


def notify(clerk: StubClerk, event: str, user: Any) -> Any:
    """Deliver a webhook; returns its response's body."""
    body = json.dumps(clerk.event(event, user)).encode()
    request = api_request(
        "POST", "/api/webhooks/clerk", body=body, headers=clerk.sign(body)
    )
    return ask(webhook, request).body


def browser(clerk: StubClerk, user_id: str, method: str, path: str) -> Any:
    """Send a request as a signed-in user; returns the response's body."""
    headers = {"authorization": f"Bearer {clerk.session_token(user_id)}"}
    request = api_request(method, f"/api/users/{path}", headers=headers)
    return ask(self_sync, request).body


@dataclass(frozen=True)
class Owned:
    """A database with the application's table, and the role that owns both."""

    name: str
    url: str
    """As the owner."""
    admin: psycopg.Connection[Any]
    """A superuser, in a different database of the same server."""

    def alter(self, what: str, settings: Mapping[str, str]) -> None:
        """Let the owner's sessions begin with other settings, from now on."""
        for name, value in settings.items():
            query = f"ALTER {what} {self.name} SET {name} = {{}}"
            # An empty search path would otherwise be a schema without a name.
            literal = sql.SQL(value) if name == "search_path" and value else value
            self.admin.execute(sql.SQL(query).format(literal))


def encoded(encoding: str) -> str:
    """The options of CREATE DATABASE for an encoding that is not the server's."""
    return f"ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"


@contextmanager
def owned(server_url: str, options: str = "") -> Iterator[Owned]:
    """Create a database and its owner, and drop both at the end."""
    name = f"clerksync_owned_{os.getpid()}_{secrets.token_hex(4)}"
    with psycopg.connect(server_url, autocommit=True) as admin:

        def execute(statement: str) -> None:
            admin.execute(statement.format(name=name).encode())

        execute("CREATE ROLE {name} LOGIN PASSWORD 'correct-horse'")
        try:
            execute("CREATE DATABASE {name} OWNER {name} " + options)
            url = make_conninfo(
                server_url, dbname=name, user=name, password="correct-horse"
            )
            with psycopg.connect(url, autocommit=True) as owner:
                owner.execute(f"CREATE TABLE {TABLE}".encode())
            yield Owned(name, url, admin)
        finally:
            execute("DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            execute("DROP ROLE {name}")


def migrated(url: str) -> int:
    """Migrate; returns how much was applied."""
    with closing(Database(lambda: url)) as database:
        return len(migrate(database, mapping=Settings().mapping))


def life(clerk: StubClerk, owned: Owned, url: str | None = None) -> dict[str, Any]:
    """Migrate, sync through every entry point, and return all that can be seen.

    `url` is a different way to the same database.
    """
    url = url or owned.url
    first, second, third = sorted(clerk.ids(), key=lambda i: _email(clerk, i))
    settings = Settings()
    seen: dict[str, Any] = {}
    seen["migrate"] = migrated(url)
    with closing(Database(lambda: url)) as database:
        seen["created"] = notify(clerk, "user.created", clerk.get_user(first))
        seen["again"] = notify(clerk, "user.updated", clerk.get_user(first))
        seen["self-sync"] = browser(clerk, second, "POST", "sync")
        seen["me"] = browser(clerk, first, "GET", "me")
        report = bulk_sync.handler({}, None)
        seen["bulk sync"] = {
            name: value
            for name, value in report.items()
            if not name.endswith(("_ms", "_id", "_second", "requests"))
        }
        seen["unchanged"] = bulk_sync.handler({}, None)["unchanged"]
        seen["deleted"] = notify(clerk, "user.deleted", third)
        with plain(owned.url) as connection:
            connection.execute("UPDATE tiers SET capacity = 9, refill_per_second = 0")
        for _ in range(3):
            seen["consume"] = consume(database, first, 0.1)
        status = look(settings, database)
        seen["status"] = [status.users, status.tombstones, status.drift, status.skipped]
        seen["runs"] = [(r.status, r.created, r.seconds_ago < 600) for r in status.runs]
    with plain(owned.url) as connection:
        for table in ("members", "sync_state", "rate_limits", "tiers"):
            seen[table] = _without_our_clock(connection, table)
    for body in (seen["self-sync"], seen["me"]):
        for column in ("made", "changed"):
            assert body["user"].pop(column).endswith("+00:00")
    return seen


def plain(url: str) -> psycopg.Connection[Any]:
    """Look at a database whatever its owner has set."""
    return psycopg.connect(make_conninfo(url, options=_PLAIN), autocommit=True)


def _without_our_clock(connection: psycopg.Connection[Any], table: str) -> list[Any]:
    query = sql.SQL("SELECT * FROM {} ORDER BY 1").format(sql.Identifier(table))
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(query).fetchall()
    ours = ("made", "changed", "synced_at", "refilled_at", "confirmed_at", "deleted_at")
    return [{k: v for k, v in row.items() if k not in ours} for row in rows]
