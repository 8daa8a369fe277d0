"""What can block the deletion of a user: rules of the application's own tables."""

from typing import Final

import psycopg
from psycopg import errors

BLOCKED: Final = (
    psycopg.IntegrityError,  # a foreign key, or NOT NULL where one says SET NULL
    errors.RaiseException,  # a trigger of the application
)


def obstacle(error: psycopg.Error) -> str:
    """Return what blocks a deletion: table and constraint, or the column."""
    named = error.diag.constraint_name or error.diag.column_name
    if named is None:
        return "a trigger"
    return f"{error.diag.table_name}.{named}"
