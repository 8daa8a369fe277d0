"""What the demo acts with: a stage on which each step shows and checks something."""

import json
from collections.abc import Mapping
from typing import Any

import psycopg
import urllib3
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from local.progress import shown_progress
from local.stack.functions import handler
from local.stub_clerk.stub import StubClerk

_ROW = """
    SELECT s.clerk_id, u.id IS NOT NULL, u.email, u.name, u.tier,
           r.user_id IS NOT NULL, s.clerk_updated_at, s.deleted_at
    FROM sync_state AS s
    LEFT JOIN users AS u ON u.id = s.clerk_id
    LEFT JOIN rate_limits AS r ON r.user_id = s.clerk_id
    WHERE s.clerk_id = %s
"""
# Any write or row lock changes one of these of the row.
_FOOTPRINT = """
    SELECT 'users', ctid::text, xmin::text, xmax::text FROM users
    UNION ALL SELECT 'rate_limits', ctid::text, xmin::text, xmax::text FROM rate_limits
    UNION ALL SELECT 'sync_state', ctid::text, xmin::text, xmax::text FROM sync_state
"""

JSON = dict[str, Any]


class Stage:
    def __init__(
        self,
        console: Console,
        stub: StubClerk,
        url: str,
        connection: psycopg.Connection,
    ) -> None:
        self.stub = stub
        self.failures = 0
        self._console = console
        self._url = url
        self._connection = connection
        self._steps = 0

    def step(self, title: str) -> None:
        self._steps += 1
        self._console.print(f"\n[bold]{self._steps}. {title}[/bold]", highlight=False)

    def say(self, text: str) -> None:
        self._console.print(f"   {text}", highlight=False, soft_wrap=True)

    def expect(self, what: str, *, holds: bool) -> None:
        """Show whether something is as it should be, and remember if not."""
        self.failures += not holds
        mark = "[green]ok[/green]  " if holds else "[red]WRONG[/red]"
        self._console.print(f"   {mark} {what}", highlight=False)

    def deliver(
        self, event: JSON, *, headers: Mapping[str, str] | None = None
    ) -> tuple[Mapping[str, str], str]:
        """Post an event as Svix would; gives the signed headers and what was done."""
        body = json.dumps(event).encode()
        signed = headers or self.stub.sign(body)
        answer = self._post("/api/webhooks/clerk", body, signed)
        return signed, str(answer.get("action", answer))

    def self_sync(self, clerk_id: str) -> JSON:
        """Call as a browser that is signed in would, with a real session token."""
        token = self.stub.session_token(clerk_id)
        return self._post("/api/users/sync", b"", {"authorization": f"Bearer {token}"})

    def bulk_sync(self) -> JSON:
        with shown_progress(self._console) as progress:
            return handler("bulk_sync")({}, None, progress)  # type: ignore[call-arg] # its third parameter

    def row(self, clerk_id: str) -> JSON:
        names = ("id", "exists", "email", "name", "tier", "bucket", "version", "gone")
        row = self._connection.execute(_ROW, [clerk_id]).fetchone()
        return dict(zip(names, row or [clerk_id, False] + [None] * 6, strict=True))

    def set_tier(self, clerk_id: str, tier: str) -> None:
        """What an application does when somebody pays."""
        self._connection.execute(
            "UPDATE users SET tier = %s WHERE id = %s", [tier, clerk_id]
        )

    def show(self, *clerk_ids: str) -> None:
        """What the tables hold of these users."""
        table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
        for heading in ("id", "email", "name", "tier", "rate limit", "version"):
            table.add_column(heading, no_wrap=True)
        for row in map(self.row, clerk_ids):
            version = row["version"].strftime("%M:%S.%f")[:-3] if row["version"] else ""
            cells = [f"…{row['id'][-6:]}"]
            if row["exists"]:
                cells += [row["email"] or "NULL", row["name"] or "NULL", row["tier"]]
                cells += ["yes" if row["bucket"] else "no", version]
            else:
                cells += ["no row", "tombstone" if row["gone"] else "", "", "", ""]
            table.add_row(*cells)
        self._console.print(Padding(table, (0, 0, 0, 3), expand=False))

    def count(self) -> tuple[int, int]:
        """Rows in users and in rate_limits."""
        counts = self._connection.execute(
            "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM rate_limits)"
        ).fetchone()
        return counts or (0, 0)

    def footprint(self) -> list[tuple[Any, ...]]:
        return sorted(self._connection.execute(_FOOTPRINT).fetchall())

    def show_report(self, report: JSON) -> None:
        shown = (
            "created",
            "updated",
            "unchanged",
            "skipped",
            "deleted",
        )
        counts = ", ".join(f"{report[name]} {name}" for name in shown if report[name])
        users = f"{report['fetched']} users in {report['duration_ms']} ms"
        self.say(
            f"{report['status']}: {users}, {report['requests']} requests: {counts}"
        )

    def _post(self, path: str, body: bytes, headers: Mapping[str, str]) -> JSON:
        answer = urllib3.request(
            "POST", self._url + path, body=body, headers=dict(headers), timeout=20
        )
        parsed: JSON = answer.json()
        return parsed | {"status": answer.status}
