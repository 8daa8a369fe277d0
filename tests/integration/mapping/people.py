"""A table `people`, with whatever columns a test needs."""

from collections.abc import Callable
from typing import Any

import psycopg

from clerksync.mapping.file import parse
from clerksync.mapping.table import TableMapping
from clerksync.write.user_batches import UserBatches

Make = Callable[..., UserBatches]


def mapping_of_people(
    *, table: str = "", mapped: str = "", mail: str = '"email"'
) -> TableMapping:
    """With lines of its own in [table] and in [columns]."""
    text = (
        '[table]\nschema = "public"\nname = "people"\nkey = "clerk"\n'
        f"{table}\n[columns]\nmail = {mail}\n{mapped}\n"
    )
    return parse(text, name="mine")


def people(connection: psycopg.Connection) -> dict[str | None, tuple[Any, ...]]:
    """The rows by their first column, without it."""
    found = connection.execute("SELECT * FROM people").fetchall()
    return {row[0]: row[1:] for row in found}
