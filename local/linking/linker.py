"""`clerksync link`: match rows without a Clerk ID to users, and write the keys."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from tempfile import TemporaryFile
from typing import IO, Any, Final, LiteralString, NamedTuple, Self

import psycopg

from clerksync.bulk.instance import owner_of_key
from clerksync.bulk.job import Job, Progress, Setup
from clerksync.bulk.request import BulkSyncRequest
from clerksync.errors import RefusedError
from clerksync.postgres.database import Database
from clerksync.settings.environment import Settings
from clerksync.write.locks import LOCK_TIMEOUT
from clerksync.write.refused_row import Refusal, concerns_statement
from local.linking import match_sql
from local.linking.verified_emails import linking_client, spool_users
from local.progress import counted

LINK: Final = "link"
OWN_KEY: Final = "own key"
AMBIGUOUS: Final = frozenset(
    {"has a row", "several users", "several rows", "deleted row"}
)
_BATCH: Final = 1_000
_SHOWN: Final = 20
# Rows that this transaction has locked are waited for by the application.
_PATIENCE: LiteralString = "SET LOCAL lock_timeout = '2s'"


class Row(NamedTuple):
    """A row without a Clerk ID, and what was found for it."""

    verdict: str
    row_id: str
    clerk_ids: list[str]
    email: str | None
    place: str

    @property
    def kind(self) -> str:
        """link, holds_email, ambiguous or no_match."""
        if self.verdict == LINK:
            return LINK
        if self.verdict == OWN_KEY:
            return "holds_email"
        return "ambiguous" if self.verdict in AMBIGUOUS else "no_match"


@dataclass(slots=True)
class Found:
    """What was found for every row; the rows are in a temporary file."""

    spool: IO[str]
    table: str
    """The users table, quoted."""
    key: str
    """The column of the Clerk ID."""
    users: int = 0
    """At Clerk."""
    other_keys: int = 0
    """Rows whose key is neither a Clerk ID nor empty. They are left as they are."""
    counts: Counter[str] = field(default_factory=Counter)
    """Rows by kind."""
    first: dict[str, list[Row]] = field(default_factory=dict)
    """The first 20 rows of each kind."""
    linked: int = 0
    failures: list[str] = field(default_factory=list)
    """Rows that the table refused, each with the reason."""

    @property
    def changed(self) -> int:
        """After linking: rows that were changed meanwhile and left as they are."""
        return self.counts[LINK] - self.linked - len(self.failures)

    def add(self, row: Row) -> None:
        self.spool.write(f"{json.dumps(row)}\n")
        self.counts[row.kind] += 1
        first = self.first.setdefault(row.kind, [])
        if len(first) < _SHOWN:
            first.append(row)

    def rows(self) -> Iterator[Row]:
        """Read every row once more."""
        self.spool.seek(0)
        for line in self.spool:
            yield Row(*json.loads(line))

    def forget(self) -> None:
        """Start over."""
        self.spool.seek(0)
        self.spool.truncate()
        self.counts.clear()
        self.first.clear()


class Linker:
    """Links the rows of one table to the users of one instance."""

    def __init__(
        self, settings: Settings, database: Database, progress: Progress
    ) -> None:
        setup = Setup.of(settings, database, progress)
        request = BulkSyncRequest(dry_run=True)
        self._job = Job.of(setup, linking_client(settings).for_run(), request)
        self._instance = ""

    @classmethod
    @contextmanager
    def found(
        cls, settings: Settings, database: Database, progress: Progress
    ) -> Iterator[tuple[Self, Found]]:
        """Match all rows to users, and write nothing. Raises RefusedError for a key of
        a different instance, or for an incomplete listing."""
        linker = cls(settings, database, progress)
        linker._instance = owner_of_key(linker._job).id
        with _spool() as users, _spool() as rows:
            expected = spool_users(linker._job, users)
            table = linker._job.users
            name = table.names["users"].as_string()
            found = Found(rows, name, table.mapping.key)
            database.run_hashed(lambda c: linker._match(c, users, expected, found))
            yield linker, found

    def link(self, found: Found) -> None:
        """Write the Clerk ID of every row that one user matches. A row that was changed
        meanwhile is left as it is. From then on, the table belongs to the instance of
        the key, as after a first run."""
        ledger = self._job.setup.ledger
        run = ledger.begin("link", dry_run=False)
        ledger.accept_instance(run, self._instance)
        done, total = 0, found.counts[LINK]
        to_link = (row for row in found.rows() if row.verdict == LINK)
        while batch := list(islice(to_link, _BATCH)):
            self._link(batch, found)
            done += len(batch)
            self._job.setup.progress("link", done, total)
        ledger.finish(run, "completed", {"reason": None, "linked": found.linked})

    def _match(
        self,
        connection: psycopg.Connection,
        users: IO[str],
        expected: int,
        found: Found,
    ) -> None:
        found.forget()
        table = self._job.users
        found.users = match_sql.stage(connection, table, users)
        if found.users < expected:
            raise RefusedError(
                f"Clerk counts {counted(expected, 'user')} and listed {found.users:,}. "
                "Nothing was written. Run clerksync link again."
            )
        found.other_keys = match_sql.other_keys(connection, table)
        query = match_sql.matches(connection, table)
        progress = self._job.setup.progress
        progress("match", 0, found.users)
        with connection.cursor(name="clerksync_link") as cursor:
            cursor.itersize = 5_000
            for row in cursor.execute(query):
                found.add(Row(*row))
        progress("match", found.users, found.users)

    def _link(self, rows: Sequence[Row], found: Found) -> None:
        """Link rows together; if the table refuses one of them, halve them until it is
        alone."""
        try:
            found.linked += self._job.setup.database.run(lambda c: self._write(c, rows))
        except psycopg.Error as error:
            if concerns_statement(error):
                raise
            if error.sqlstate == LOCK_TIMEOUT:
                # Raises if the table itself is locked: fewer rows would not help.
                self._job.setup.database.run(lambda c: self._write(c, []))
            if len(rows) == 1:
                found.failures.append(f"row {rows[0].row_id}: {Refusal.of(error)}")
                return
            middle = len(rows) // 2
            self._link(rows[:middle], found)
            self._link(rows[middle:], found)

    def _write(self, connection: psycopg.Connection, rows: Sequence[Row]) -> int:
        parameters: dict[str, Any] = {
            "places": [row.place for row in rows],
            "clerk_ids": [row.clerk_ids[0] for row in rows],
            "emails": [row.email for row in rows],
        }
        with connection.transaction():
            connection.execute(_PATIENCE)
            connection.execute(match_sql.locking(self._job.users), parameters)
            query = match_sql.linking(self._job.users)
            return len(connection.execute(query, parameters).fetchall())


def _spool() -> IO[str]:
    """A file without a name: emails in it are gone with the process."""
    return TemporaryFile("w+", encoding="utf-8", newline="\n")
