"""The databases of the bulk-sync benchmark: one for each contender, on one server."""

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, LiteralString
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from benchmarks.contenders.copy import COPY, TABLES
from clerksync.mapping.file import load
from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate
from tests.applications import TABLES as APPLICATION_TABLES

# Where each row lies, and which transactions wrote and locked it last.
_REMEMBER: Final[LiteralString] = """
    CREATE SCHEMA IF NOT EXISTS bench;
    DROP TABLE IF EXISTS bench.{table};
    CREATE UNLOGGED TABLE bench.{table} AS
    SELECT {key} AS key, ctid AS place, xmin AS writer, xmax AS locker FROM {table};
    ANALYZE bench.{table}
"""
_TOUCHED: Final[LiteralString] = """
    SELECT count(*)
    FROM (
        SELECT {key} AS key, ctid AS place, xmin AS writer, xmax AS locker FROM {table}
    ) AS now
    FULL JOIN bench.{table} AS before USING (key)
    WHERE (now.place, now.writer, now.locker)
          IS DISTINCT FROM (before.place, before.writer, before.locker)
"""
_OURS: Final = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
_MIGRATIONS: Final = "clerksync_migrations"
_KEYS: Final = {"users": "id", "rate_limits": "user_id", "sync_state": "clerk_id"}


class Server:
    """An embedded Postgres, by its URL. Databases are made anew where they exist."""

    def __init__(self, url: str) -> None:
        # A host, a password and a port mean nothing to a socket, but dlt demands them.
        parts = urlsplit(url)
        self._url = parts._replace(netloc="postgres:trusted@localhost:5432")

    def url(self, database: str) -> str:
        return self._url._replace(path=f"/{database}").geturl()

    def version(self) -> str:
        with self._connected("postgres") as connection:
            return str(connection.info.parameter_status("server_version"))

    def create(self, database: str, *, mapping: str | None) -> None:
        """With the tables of that mapping, if one is named."""
        self._create(database, "template1")
        if mapping is not None:
            with self._connected(database) as connection:
                connection.execute(APPLICATION_TABLES[mapping])
            with closing(Database(lambda: self.url(database))) as ours:
                migrate(ours, mapping=load(mapping))

    def clone(self, source: str, database: str) -> None:
        self._create(database, source)

    def truncate(self, database: str) -> None:
        """Empty our tables, whichever there are."""
        with self._connected(database) as connection:
            names = [row[0] for row in connection.execute(_OURS)]
            tables = (sql.Identifier(n) for n in names if n != _MIGRATIONS)
            statement = sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(tables))
            connection.execute(statement)

    def vacuum(self, database: str) -> None:
        with self._connected(database) as connection:
            connection.execute("VACUUM (ANALYZE)")

    def checkpoint(self) -> None:
        with self._connected("postgres") as connection:
            connection.execute("CHECKPOINT")

    def wal_bytes(self) -> int:
        """Written by the whole server so far."""
        query = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint"
        return self._number("postgres", sql.SQL(query))

    def cpu_seconds(self) -> float:
        """Spent by connections that are closed by now. 0 where Linux is not there."""
        with self._connected("postgres") as connection:
            row = connection.execute("SHOW data_directory").fetchone()
        assert row is not None
        pid = (Path(row[0]) / "postmaster.pid").read_text("utf-8").split()[0]
        stat = Path("/proc") / pid / "stat"
        if not stat.exists():
            return 0.0
        # proc(5): cutime and cstime are the 16th and 17th; the name may have spaces.
        fields = stat.read_text("utf-8").rpartition(")")[2].split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")

    def remember(self, database: str) -> None:
        """Note where all rows are, for `touched`."""
        with self._connected(database) as connection:
            for names in _names():
                connection.execute(sql.SQL(_REMEMBER).format(**names))

    def touched(self, database: str) -> tuple[int, ...]:
        """How many rows of each table were written, locked or deleted since then."""
        touched = (sql.SQL(_TOUCHED).format(**names) for names in _names())
        return tuple(self._number(database, query) for query in touched)

    def count(self, database: str, table: str, *, first_name_like: str = "%") -> int:
        counted = sql.SQL("SELECT count(*) FROM {}")
        query = counted.format(sql.Identifier(*table.split(".")))
        if first_name_like != "%":
            like = sql.Literal(first_name_like)
            query += sql.SQL(" WHERE first_name LIKE {}").format(like)
        return self._number(database, query)

    def export(self, database: str, folder: Path) -> None:
        """Write the rows into files, for the contender `copy`."""
        with self._connected(database) as connection:
            for table in TABLES:
                statement = COPY.format(sql.Identifier(table), sql.SQL("TO STDOUT"))
                with (
                    (folder / table).open("wb") as rows,
                    connection.cursor().copy(statement) as copy,
                ):
                    rows.writelines(copy)

    def _create(self, database: str, template: str) -> None:
        name = sql.Identifier(database)
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        with self._connected("postgres") as connection:
            drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name)
            connection.execute(drop)
            connection.execute(create.format(name, sql.Identifier(template)))

    def _number(self, database: str, query: sql.Composable) -> int:
        with self._connected(database) as connection:
            row = connection.execute(query.as_bytes(connection)).fetchone()
        assert row is not None
        return int(row[0])

    @contextmanager
    def _connected(self, database: str) -> Iterator[psycopg.Connection]:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            yield connection


def _names() -> Iterator[Mapping[str, sql.Composable]]:
    for table in TABLES:
        key = sql.Identifier(_KEYS[table])
        yield {"table": sql.Identifier(table), "key": key}
