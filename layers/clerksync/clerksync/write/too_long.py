"""Name the column when a row is refused because a text is too long for it.

Postgres names none (SQLSTATE 22001), so the values are compared with the catalog.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql

from clerksync.mapping.table import TableMapping
from clerksync.postgres.database import Database

TOO_LONG: Final = "22001"
_LENGTHS: LiteralString = """
    SELECT a.attname::text, greatest(a.atttypmod, t.typtypmod) - 4
    FROM pg_attribute AS a
    JOIN pg_type AS t ON t.oid = a.atttypid
    WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
      AND coalesce(nullif(t.typbasetype, 0), t.oid)
          IN ('varchar'::regtype, 'bpchar'::regtype)
      AND greatest(a.atttypmod, t.typtypmod) > 0
"""


class TooLong:
    """Looks for texts that are too long for their columns; asks the catalog once."""

    def __init__(
        self, database: Database, mapping: TableMapping, table: sql.Composable
    ) -> None:
        self._database = database
        self.table = mapping.table
        self._mapping = mapping
        self._qualified = table.as_string()

    def columns(self, row: Sequence[Any]) -> str | None:
        """Return the columns that are too short for a row of `RowMaker`, separated by
        commas; None if there is none, or if the catalog cannot be read."""
        mapping = self._mapping
        names = [mapping.key, "", *(c.name for c in mapping.columns), "", mapping.tier]
        try:
            lengths = self._lengths
        except psycopg.Error:
            return None  # what was refused is reported all the same
        found = [
            name
            for name, value in zip(names, row, strict=True)
            if name in lengths and isinstance(value, str) and len(value) > lengths[name]
        ]
        return ", ".join(found) or None

    @cached_property
    def _lengths(self) -> dict[str, int]:
        def read(connection: psycopg.Connection) -> dict[str, int]:
            return dict(connection.execute(_LENGTHS, [self._qualified]).fetchall())

        return self._database.run(read)
