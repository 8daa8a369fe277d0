"""Deleting a user whom the application's own tables may hold fast."""

from typing import TYPE_CHECKING, Final

import psycopg
from psycopg import errors

from clerksync.errors import DeletionBlockedError

if TYPE_CHECKING:  # it imports this module, by way of hand_over
    from clerksync.write.user_table import UserTable

BLOCKED: Final = (
    psycopg.IntegrityError,  # a foreign key, or NOT NULL where one says SET NULL
    errors.RaiseException,  # a trigger of the application
)


def delete_user(users: "UserTable", clerk_id: str) -> None:
    """Delete one user and leave a tombstone, known here or not.

    Raises DeletionBlockedError. Then nothing was changed, and there is no tombstone:
    one beside a row that stays would say of a user that it is both here and gone.
    """
    try:
        users.delete([clerk_id])
    except BLOCKED as error:
        raise DeletionBlockedError(obstacle(error)) from error


def obstacle(error: psycopg.Error) -> str:
    """What stands against a deletion: table and constraint, or the column."""
    named = error.diag.constraint_name or error.diag.column_name
    if named is None:
        return "a trigger"
    return f"{error.diag.table_name}.{named}"
