"""`clerksync dev`: the stack kept up, and told what a person needs next."""

import json
import os
import signal
import threading
import time
from base64 import b64decode
from contextlib import ExitStack, closing
from textwrap import dedent
from typing import Any

from rich.console import Console

from clerksync.bulk.request import BulkSyncRequest
from clerksync.bulk.run import BulkSync
from clerksync.clerk.retry import BULK
from clerksync.errors import MissingSettingError
from clerksync.observability import logger
from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate
from clerksync.settings.clerk_client import clerk_client
from clerksync.settings.environment import Settings
from local.page.routes import Page
from local.progress import show_applied, show_report, shown_progress
from local.stack.functions import close_connections, routes
from local.stack.gateway import Gateway
from local.stack.target import (
    STATE,
    LocalSettings,
    announced,
    has_own_settings,
    running_dev,
    stub_stack,
)
from local.stub_clerk.stub import StubClerk

_DEFAULT_PORT = 3000
_DAY_SECONDS = 86_400


def run_dev(console: Console) -> None:
    """Serve until SIGINT or SIGTERM. Raises OSError when the port is taken."""
    with ExitStack() as stack:
        stub = None
        if not has_own_settings() and running_dev() is not None:
            raise OSError("clerksync dev already runs in this folder: end that one")
        gateway = _gateway()
        if not has_own_settings():
            stub = stack.enter_context(stub_stack(data=STATE / "postgres"))
        settings = Settings()
        page = stack.enter_context(closing(Page(settings, stub)))
        gateway.routes = page.routes(gateway.routes)
        stack.enter_context(gateway)
        stack.callback(close_connections)
        if stub is None:
            # Both are demanded before anything is done with either.
            _ = settings.database_url, settings.clerk_secret_key
            _migrate(console, settings)
            _show_own(console, gateway.url, settings)
        else:
            stub.webhook_url = f"{gateway.url}/api/webhooks/clerk"
            local = LocalSettings.of(stub, settings.database_url)
            stack.enter_context(announced(local))
            _migrate(console, settings)
            _sync(console, settings)
            _show_stub(console, gateway.url, stub, settings)
        console.print("\nCtrl-C ends it.")
        _wait_for_signal()


def _gateway() -> Gateway:
    port = os.environ.get("PORT") or _DEFAULT_PORT
    try:
        return Gateway(routes(), port=int(port))
    except (ValueError, OverflowError):
        raise OSError(f"PORT must be a number from 0 to 65535, not {port}") from None
    except OSError:
        raise OSError(
            f"port {port} is taken: choose another with PORT=3001 make dev"
        ) from None


def _migrate(console: Console, settings: Settings) -> None:
    database = Database.from_settings(settings)
    try:
        applied = migrate(
            database,
            schema=settings.schema,
            mapping=settings.mapping,
            default_tier=settings.default_tier,
            earlier_schema=settings.earlier_schema,
        )
        show_applied(console, applied)
    finally:
        database.close()


def _sync(console: Console, settings: Settings) -> None:
    """The stub begins anew at each start: so does the table."""
    database = Database.from_settings(settings)
    try:
        with shown_progress(console) as progress:
            clerk = clerk_client(settings, BULK)
            sync = BulkSync(settings, database, clerk, progress)
            report = sync.run(BulkSyncRequest(force=True))
        show_report(console, report)
    finally:
        logger.remove_keys(["run_id"])
        database.close()


def _show_own(console: Console, url: str, settings: Settings) -> None:
    _print(
        console,
        f"""
        Serving your Clerk instance and your database.

          page       {url}
          webhooks   {url}/api/webhooks/clerk
          self-sync  {url}/api/users/sync
          own row    {url}/api/users/me

        To receive Clerk's webhooks here, open a tunnel to this port and enter its
        address with /api/webhooks/clerk as an endpoint in the Clerk dashboard, for
        the events user.created, user.updated and user.deleted. Its signing secret
        belongs into CLERK_WEBHOOK_SIGNING_SECRET.
        """,
    )
    try:
        _ = settings.webhook_signing_secrets
    except MissingSettingError as error:
        console.print(f"[yellow]{error}[/yellow]", highlight=False)


def _show_stub(console: Console, url: str, stub: StubClerk, settings: Settings) -> None:
    key = b64decode(stub.webhook_signing_secret.removeprefix("whsec_")).hex()
    user = stub.get_user(stub.ids()[0])
    token = stub.session_token(user["id"], lifetime_seconds=_DAY_SECONDS)
    _print(
        console,
        f"""
        Serving a stub Clerk with {stub.count} invented users and an embedded Postgres.

          page            {url}
          webhooks        {url}/api/webhooks/clerk
          self-sync       {url}/api/users/sync
          own row         {url}/api/users/me
          stub Clerk      {stub.url}/v1 (secret key {stub.secret_key})
          signing secret  {stub.webhook_signing_secret}
          database        {settings.database_url}

        Sign a user up at the stub, which then sends its webhook:
        """,
    )
    _paste(
        console,
        f"""curl -s {stub.url}/v1/users -H 'Authorization: Bearer {stub.secret_key}' \\
  -H 'Content-Type: application/json' \\
  -d '{{"email_address": ["new@example.com"], "first_name": "New"}}'""",
    )
    console.print("\nPost a signed webhook yourself:")
    _paste(
        console,
        f"""body='{_example_event(user)}'
id=msg_$(date +%s%N); at=$(date +%s)
signature=$(printf '%s' "$id.$at.$body" | openssl dgst -sha256 -mac HMAC \\
  -macopt hexkey:{key} -binary | base64)
curl -s {url}/api/webhooks/clerk --data-binary "$body" -H "svix-id: $id" \\
  -H "svix-timestamp: $at" -H "svix-signature: v1,$signature" """.rstrip(),
    )
    console.print("\nSync a user as a browser would (the token lasts a day):")
    _paste(
        console,
        f"""curl -s -X POST {url}/api/users/sync \\
  -H 'Authorization: Bearer {token}'""",
    )


def _print(console: Console, text: str) -> None:
    console.print(dedent(text).rstrip(), highlight=False, soft_wrap=True, markup=False)


def _paste(console: Console, command: str) -> None:
    """Unwrapped and without colour, so that it can be pasted."""
    console.print(command, highlight=False, soft_wrap=True, markup=False, style="cyan")


def _example_event(user: dict[str, Any]) -> str:
    """A rename of this user, with no more of it than sync reads, for a shell."""
    kept = ("id", "email_addresses", "primary_email_address_id", "created_at")
    data = {name: user[name] for name in kept}
    data["email_addresses"] = [
        {"id": entry["id"], "email_address": entry["email_address"]}
        for entry in user["email_addresses"]
    ]
    data |= {"first_name": "Posted", "updated_at": round(time.time() * 1000)}
    event = {"object": "event", "type": "user.updated", "data": data}
    return json.dumps(event).replace("'", "'\\''")


def _wait_for_signal() -> None:
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    # Not for ever at once: of two signals in a row, Python may not see the second.
    while not stopped.wait(0.5):
        pass
