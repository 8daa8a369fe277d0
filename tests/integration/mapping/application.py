"""Tables as applications have them, and Clerk in front of all three doors."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from clerksync.clerk.user import parse_user
from clerksync.mapping.table import TableMapping
from clerksync.mapping.values import reader_of
from functions.bulk_sync import app as bulk_sync
from functions.self_sync import app as self_sync
from functions.webhook import app as webhook
from local.stub_clerk.stub import StubClerk
from tests.doors import Answer, api_request, ask


@dataclass
class Application:
    """A mapped table, its database, and the three doors to it."""

    clerk: StubClerk
    mapping: TableMapping
    connection: psycopg.Connection
    schema: str

    def notify(self, event: str, user: dict[str, Any] | str) -> str:
        """Let a webhook tell of a user; gives the action."""
        answer = self._deliver(event, user)
        assert answer.status == 200, answer
        return str(answer.body["action"])

    def status(self, event: str, user: dict[str, Any] | str) -> int:
        """The status of a webhook's answer."""
        return self._deliver(event, user).status

    def _deliver(self, event: str, user: dict[str, Any] | str) -> Answer:
        body = json.dumps(self.clerk.event(event, user)).encode()
        headers = self.clerk.sign(body)
        request = api_request("POST", "/api/webhooks/clerk", body=body, headers=headers)
        return ask(webhook, request)

    def sign_up(self, email: str, **fields: Any) -> dict[str, Any]:
        """At Clerk, and in the table by its webhook."""
        user = self.clerk.create_user(email=email, notify=False, **fields)
        assert self.notify("user.created", user) == "created"
        return user

    def browser(
        self, clerk_id: str, method: str = "POST", path: str = "sync"
    ) -> Answer:
        token = self.clerk.session_token(clerk_id)
        headers = {"authorization": f"Bearer {token}"}
        return ask(
            self_sync, api_request(method, f"/api/users/{path}", headers=headers)
        )

    def bulk_sync(self, **event: Any) -> dict[str, Any]:
        report: dict[str, Any] = bulk_sync.handler(event, None)
        return report

    def rows(self) -> dict[str, dict[str, Any]]:
        """The target table, by Clerk id, times in UTC."""
        table = sql.Identifier(self.mapping.schema or self.schema, self.mapping.table)
        with self.connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute(sql.SQL("SELECT * FROM {}").format(table))
            return {
                row[self.mapping.key]: {k: _in_utc(v) for k, v in row.items()}
                for row in cursor
            }

    def row(self, user: dict[str, Any]) -> dict[str, Any]:
        return self.rows()[user["id"]]

    def expected(self, clerk_id: str) -> dict[str, Any]:
        """The mapped columns, as Clerk has them now."""
        user = parse_user(self.clerk.get_user(clerk_id), self.mapping.user_model)
        _, _, *values = reader_of(self.mapping)(user)
        return {
            column.name: datetime.fromtimestamp(value / 1000, UTC)
            if column.type == "timestamp"
            else value
            for column, value in zip(self.mapping.columns, values, strict=True)
        }

    def assert_equals_clerk(self) -> None:
        """Each user with an email is there, with all that is mapped; nobody else."""
        with_email = {
            i
            for i in self.clerk.ids()
            if self.clerk.get_user(i)["primary_email_address_id"]
        }
        rows = self.rows()
        assert set(rows) == with_email
        for clerk_id in with_email:
            expected = self.expected(clerk_id)
            found = {name: rows[clerk_id][name] for name in expected}
            assert found == expected

    def footprint(self) -> list[tuple[Any, ...]]:
        """Changes with any write or row lock in any table of the database."""
        tables = self.connection.execute(
            "SELECT schemaname, tablename FROM pg_tables"
            " WHERE schemaname !~ '^(pg_|information_schema)'"
            " AND tablename !~ '^sync_run|migrations$'"
        ).fetchall()
        found: list[tuple[Any, ...]] = []
        for schema, table in sorted(tables):
            query = sql.SQL("SELECT %s, ctid::text, xmin::text, xmax::text FROM {}")
            identifier = sql.Identifier(schema, table)
            found += self.connection.execute(query.format(identifier), [table])
        return sorted(found)

    def companions(self) -> list[tuple[Any, ...]]:
        """Key and first value of each companion row."""
        found = []
        for companion in self.mapping.companions:
            schema = self.mapping.schema or self.schema
            where = self.schema if companion.is_rate_limits else schema
            query = sql.SQL("SELECT {}, {} FROM {}").format(
                sql.Identifier(companion.key),
                sql.Identifier(next(iter(companion.values), "tokens")),
                sql.Identifier(where, companion.table),
            )
            found += self.connection.execute(query).fetchall()
        return found


def _in_utc(value: Any) -> Any:
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value
