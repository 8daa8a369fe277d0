"""The tables, looked at and never touched: each method only reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from clerksync.settings.environment import Settings
from clerksync.write.identifiers import identifiers

USERS_SHOWN: Final = 50
_RUNS: Final = 20
_NAMES: Final = ("name", "first_name", "last_name")

_NEWEST: LiteralString = """
    SELECT clerk_id FROM {sync_state}
    ORDER BY greatest(clerk_updated_at, deleted_at) DESC NULLS LAST, clerk_id
    LIMIT %(limit)s
"""
_FOUND: LiteralString = """
    SELECT * FROM (
        (SELECT {key}::text FROM {users} AS u
         WHERE {key} IS NOT NULL
           AND strpos(lower(concat_ws(' ', {searched})), lower(%(search)s)) > 0
         ORDER BY {key} LIMIT %(limit)s)
        UNION
        (SELECT clerk_id FROM {sync_state}
         WHERE strpos(lower(clerk_id), lower(%(search)s)) > 0
         ORDER BY clerk_id LIMIT %(limit)s)
    ) AS found
"""
_ROWS: LiteralString = """
    WITH shown (clerk_id) AS (
        ({chosen}) UNION SELECT unnest(%(ids)s::text[])
    )
    SELECT shown.clerk_id, s.clerk_updated_at, s.deleted_at, s.skipped,
           to_jsonb(u) AS columns, {bucket} AS bucket
    FROM shown
    LEFT JOIN {sync_state} AS s ON s.clerk_id = shown.clerk_id
    LEFT JOIN {users} AS u ON u.{key} = shown.clerk_id AND {live}
"""
_BUCKET: LiteralString = """
    (SELECT to_jsonb(r) FROM {rate_limits} AS r WHERE r.user_id = shown.clerk_id)
"""
_COUNTS: LiteralString = """
    SELECT (SELECT count(*) FROM {users} AS u WHERE {live}) AS table,
           (SELECT count(*) FROM {sync_state} WHERE deleted_at IS NOT NULL)
               AS tombstones
"""
_LEDGER: LiteralString = """
    SELECT run_id::text AS key, mode, dry_run, status, started_at, report
    FROM {runs} ORDER BY started_at DESC LIMIT %(limit)s
"""


@dataclass(frozen=True)
class Row:
    """What the tables know of a Clerk id."""

    version: int | None
    """Unix milliseconds of Clerk's clock: the version last applied."""
    deleted_at: int | None
    """Unix milliseconds of the database's clock: the tombstone."""
    skipped: str | None
    columns: dict[str, Any] | None
    """The row of the user, if there is one."""
    bucket: dict[str, Any] | None


class Tables:
    def __init__(self, settings: Settings) -> None:
        self.mapping = settings.mapping
        searched = [
            sql.SQL("u.{}").format(sql.Identifier(name))
            for name in (self.mapping.key, *self.columns_of("email", *_NAMES))
        ]
        bucket: sql.Composable = sql.NULL
        if self.mapping.rate_limits:
            buckets = sql.Identifier(settings.schema, "rate_limits")
            bucket = sql.SQL(_BUCKET).format(rate_limits=buckets)
        self._names = identifiers(self.mapping, settings.schema) | {
            "bucket": bucket,
            "searched": sql.SQL(", ").join(searched),
        }

    def columns_of(self, *sources: str) -> list[str]:
        """The columns that these fields of a user fill, where there are any."""
        return [c.name for c in self.mapping.columns if c.source in sources]

    def name_in(self, columns: dict[str, Any]) -> str | None:
        """As the table has it, in one column or in two."""
        names = self.columns_of("name") or self.columns_of("first_name", "last_name")
        return " ".join(filter(None, map(columns.get, names))) or None

    def rows(
        self, connection: psycopg.Connection, ids: Sequence[str], search: str
    ) -> dict[str, Row]:
        """Of these ids, and of the newest or, with a search, of who is found."""
        chosen = self._composed(_FOUND if search else _NEWEST)
        query = sql.SQL(_ROWS).format(chosen=chosen, **self._names)
        parameters = {"ids": list(ids), "search": search, "limit": USERS_SHOWN}
        found = self._all(connection, query, parameters)
        return {row.pop("clerk_id"): _row(**row) for row in found}

    def row(self, connection: psycopg.Connection, clerk_id: str) -> Row:
        query = sql.SQL(_ROWS).format(chosen=sql.SQL("SELECT %(id)s"), **self._names)
        (row,) = self._all(connection, query, {"id": clerk_id, "ids": []})
        row.pop("clerk_id")
        return _row(**row)

    def counts(self, connection: psycopg.Connection) -> dict[str, int]:
        (counts,) = self._all(connection, self._composed(_COUNTS), {})
        return counts

    def runs(self, connection: psycopg.Connection) -> list[dict[str, Any]]:
        """The ledger of bulk runs, the newest first."""
        runs = self._all(connection, self._composed(_LEDGER), {"limit": _RUNS})
        for run in runs:
            run["at"] = milliseconds(run.pop("started_at"))
        return runs

    def _composed(self, query: LiteralString) -> sql.Composed:
        return sql.SQL(query).format(**self._names)

    @staticmethod
    def _all(
        connection: psycopg.Connection, query: sql.Composed, parameters: dict[str, Any]
    ) -> list[dict[str, Any]]:
        with connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query, parameters).fetchall()


def _row(
    *,
    clerk_updated_at: datetime | None,
    deleted_at: datetime | None,
    skipped: str | None,
    columns: dict[str, Any] | None,
    bucket: dict[str, Any] | None,
) -> Row:
    version, gone = milliseconds(clerk_updated_at), milliseconds(deleted_at)
    return Row(version, gone, skipped, columns, bucket)


def milliseconds(moment: datetime | None) -> int | None:
    """Unix milliseconds."""
    return None if moment is None else round(moment.timestamp() * 1000)
