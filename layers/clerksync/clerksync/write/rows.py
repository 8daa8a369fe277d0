"""Users as rows: what the write path gets of each, and how COPY takes it."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

from pydantic_core import to_json

from clerksync.clerk.user import ClerkUser
from clerksync.errors import InvalidPayloadError
from clerksync.mapping.table import TableMapping
from clerksync.mapping.values import reader_of, replaced
from clerksync.observability import describe, logger
from clerksync.write.copy_text import copy_lines

StagedRow = tuple[str, int, str]
"""A user on the way to the staging table: ID, version, and the row as COPY takes it."""


class Prepared(NamedTuple):
    """Users made ready for writing, without touching the database."""

    rows: list[StagedRow]
    failed: list[str]
    """IDs of users that no row can hold: metadata nested too deep, for example."""

    def newest(self) -> list[StagedRow]:
        """Return the newest version of each user, sorted by ID."""
        newest: dict[str, StagedRow] = {row[0]: row for row in self.rows}
        if len(newest) < len(self.rows):
            for row in self.rows:
                if newest[row[0]][1] <= row[1]:
                    newest[row[0]] = row
        return sorted(newest.values())

    def add(self, other: "Prepared") -> None:
        self.rows.extend(other.rows)
        self.failed.extend(other.failed)


class RowMaker:
    """Makes rows of users, in the order of the write path. Safe for threads."""

    def __init__(self, mapping: TableMapping, tier_metadata_key: str | None) -> None:
        self._read = reader_of(mapping)
        self._json_positions = [
            (position, "{}" if column.source == "public_metadata" else None)
            for position, column in enumerate(mapping.columns, start=2)
            if column.type == "jsonb"
        ]
        self._number_positions = [
            position
            for position, column in enumerate(mapping.columns, start=2)
            if column.type == "numeric"
        ]
        self._tier_metadata_key = tier_metadata_key
        self._tier_values = mapping.tier_values

    def row(self, user: ClerkUser, confirmed_at: datetime | None) -> list[Any]:
        """Return ID, version, the mapped values, `confirmed_at` and the tier, if any.

        Raises InvalidPayloadError for metadata that Postgres cannot hold.
        """
        row = [*self._read(user), confirmed_at, None]
        for position, empty in self._json_positions:
            value = row[position]
            nothing = value is None or (empty and not value)
            row[position] = empty if nothing else _json(value)
        for position in self._number_positions:
            if isinstance(row[position], float):
                # As text: a double that becomes numeric is rounded to 15 digits.
                row[position] = repr(row[position])
        if self._tier_metadata_key is not None:
            tier = (user.public_metadata or {}).get(self._tier_metadata_key)
            row[-1] = tier if isinstance(tier, str) and tier else None
            if self._tier_values:
                row[-1] = replaced(row[-1], self._tier_values)
        return row

    def prepare(
        self, users: Iterable[ClerkUser], *, confirmed_at: datetime | None = None
    ) -> Prepared:
        """Make users ready for `UserBatches.upsert_prepared`."""
        rows: list[list[Any]] = []
        failed: list[str] = []
        for user in users:
            try:
                rows.append(self.row(user, confirmed_at))
            except InvalidPayloadError as error:
                logger.error("user not written", clerk_id=user.id, **describe(error))
                failed.append(user.id)
        lines = zip(rows, copy_lines(rows), strict=True)
        return Prepared([(row[0], row[1], line) for row, line in lines], failed)


_encode: Final = json.JSONEncoder(allow_nan=False).encode


def _json(value: Any) -> str:
    """As JSON text, in a sixth of the time that `json` takes."""
    try:
        text = to_json(value).decode()
        if "NaN" in text or "Infinity" in text:
            _encode(value)  # raises where one is a number, and not a word in a text
    except (ValueError, RecursionError) as error:
        message = "The metadata holds a number too large or is nested too deep."
        raise InvalidPayloadError(message) from error
    return text
