"""An application whose users were there before clerksync."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from local.stub_clerk.stub import StubClerk
from tests.terminal import clerksync_here

MAPPING = """
[table]
name = "members"
key = "clerk"
id = { column = "id", generate = "database" }
deleted_at = "gone_at"
email_not_null = true

[columns]
email = "email"
first = "first_name"
"""


@dataclass
class Application:
    """The table `members`, and the commands on it."""

    clerk: StubClerk
    connection: psycopg.Connection
    folder: Path
    settings: dict[str, str]
    expected_code: int = 0
    """Of doctor."""

    def make(self, email: LiteralString = "text NOT NULL UNIQUE") -> None:
        """Make the table, with a column for the email as given."""
        self.connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        create: LiteralString = (
            "CREATE TABLE members (id serial PRIMARY KEY, clerk text UNIQUE, email "
        )
        self.connection.execute(
            create + email + ", first text, gone_at timestamptz, notes text)"
        )
        always = "NOT NULL" in email
        mapping = MAPPING if always else MAPPING.replace("email_not_null = true\n", "")
        # Read once per process, by its name.
        file = self.folder / f"members-{'always' if always else 'nullable'}.toml"
        file.write_text(mapping)
        self.settings["CLERKSYNC_MAPPING"] = str(file)
        self.run("migrate")

    def run(self, *arguments: str, code: int = 0) -> str:
        done = clerksync_here(*arguments, cwd=self.folder, **self.settings)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def json(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.run(*arguments, "--json", code=code))
        return answer

    def sign_up(self, email: str, *, verified: bool = True) -> str:
        """Somebody at Clerk, of whom no webhook tells."""
        user = self.clerk.create_user(email=email, first_name="Noor", notify=False)
        if not verified:
            self.readdress(user["id"], verification={"status": "unverified"})
        return str(user["id"])

    def readdress(self, clerk_id: str, **fields: Any) -> None:
        """Change a user's email address in a way that Clerk's API does not offer."""
        user = self.clerk.get_user(clerk_id)
        for address in user["email_addresses"]:
            address.update(fields)
        self.clerk.users._file(user)

    def insert(self, *emails: str, clerk: str | None = None) -> None:
        """Rows of the application's own."""
        with self.connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO members (email, clerk, notes) VALUES (%s, %s, 'old')",
                [(email, clerk) for email in emails],
            )

    def rows(self) -> list[dict[str, Any]]:
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(
                sql.SQL("SELECT * FROM members ORDER BY id")
            ).fetchall()

    def keys(self) -> list[str | None]:
        return [row["clerk"] for row in self.rows()]


@pytest.fixture
def application(
    tmp_path: Path, settings: dict[str, str], connection: psycopg.Connection
) -> Iterator[Application]:
    with StubClerk() as clerk:
        settings |= {
            "CLERK_SECRET_KEY": clerk.secret_key,
            "CLERK_API_URL": clerk.url,
            "CLERKSYNC_SCHEMA": "public",
        }
        application = Application(clerk, connection, tmp_path, settings)
        application.make()
        yield application
