"""An application with a table of members, and its clerksync."""

from pathlib import Path
from subprocess import CompletedProcess

import psycopg

from clerksync.mapping.file import load
from tests.terminal import clerksync_here

OWN = {"clerksync_migrations", "sync_state", "sync_runs", "sync_run_listed"}
OF_RATE_LIMITS = {"rate_limits", "tiers"}
_MEMBERS = """
[table]
{}name = "members"
key = "clerk_id"
rate_limits = {}

[columns]
email = "email"
"""


class Application:
    """The application, and what it sets."""

    def __init__(self, url: str, folder: Path) -> None:
        self.folder = folder
        self.mapping = folder / "members.toml"
        self.settings = {
            "DATABASE_URL": url,
            "CLERK_SECRET_KEY": "sk_test_unused",
            "CLERKSYNC_MAPPING": str(self.mapping),
        }
        self.describe()

    def describe(self, schema: str | None = None, *, rate_limits: bool = False) -> None:
        line = f'schema = "{schema}"\n' if schema else ""
        self.mapping.write_text(_MEMBERS.format(line, str(rate_limits).lower()))
        load.cache_clear()

    def migrate(self, *options: str, **settings: str) -> CompletedProcess[str]:
        everything = self.settings | settings
        return clerksync_here("migrate", *options, cwd=self.folder, **everything)


def tables(connection: psycopg.Connection, schema: str) -> set[str]:
    query = "SELECT tablename FROM pg_tables WHERE schemaname = %s"
    return {name for (name,) in connection.execute(query, [schema])}


def functions(connection: psycopg.Connection, schema: str) -> set[str]:
    query = """
        SELECT proname FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace
        WHERE nspname = %s
    """
    return {name for (name,) in connection.execute(query, [schema])}
