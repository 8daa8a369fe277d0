"""A full sync of 10,000 users: the first, and one that finds nothing to do."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg

from clerksync.bulk_run import BulkSyncRequest
from clerksync.clerk_api import BULK, ClerkApi
from clerksync.database import Database
from clerksync.migrate import migrate
from clerksync.reconcile import BulkSync
from clerksync.settings import Settings
from local.embedded_postgres import embedded_postgres

_USERS: Final = 10_000
_TABLES: Final = ("users", "rate_limits", "sync_state")


def run() -> list[str]:
    """Rows of a Markdown table. Any write or row lock of a row counts as touched."""
    with embedded_postgres() as url, _stub_clerk():
        database = Database(lambda: url)
        migrate(database)
        settings = Settings()
        sync = BulkSync(settings, database, ClerkApi(settings, BULK))
        lines = [
            "| full sync | seconds | requests | rows touched |",
            "|---|---:|---:|---:|",
        ]
        for name in ("first", "no change"):
            before = database.run(_footprint)
            report = sync.run(BulkSyncRequest())
            touched = len(database.run(_footprint) - before)
            seconds = report.duration_ms / 1000
            lines.append(f"| {name} | {seconds:.2f} | {report.requests} | {touched} |")
        database.close()
        return lines


def _footprint(connection: psycopg.Connection) -> set[tuple[str, ...]]:
    """Where each row lies and which transactions wrote or locked it last."""
    rows: set[tuple[str, ...]] = set()
    for table in _TABLES:
        query = f"SELECT '{table}', ctid::text, xmin::text, xmax::text FROM {table}"
        rows.update(connection.execute(query.encode()))
    return rows


@contextmanager
def _stub_clerk() -> Iterator[None]:
    """In a process of its own, which shares no interpreter with what is measured."""
    options = ["--users", str(_USERS), "--exit-with-stdin"]
    command = [sys.executable, "-m", "local.stub_clerk", *options]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        shown = json.loads(process.stdout.readline())
        os.environ["CLERK_API_URL"] = shown["url"]
        os.environ["CLERK_SECRET_KEY"] = shown["secret_key"]
        yield
        process.stdin.close()
