"""The migration of a deployment, whose failure a person reads in CloudFormation."""

import time
from contextlib import closing
from typing import Final

import psycopg
from psycopg import errors

from clerksync.errors import (
    AccessDeniedError,
    ClerksyncError,
    SchemaOutdatedError,
)
from clerksync.observability import describe, logger
from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate
from clerksync.settings.environment import Settings

_NAME_TAKEN: Final = (
    "A table of the application has the name of one of clerksync's. Name another "
    "schema in CLERKSYNC_SCHEMA."
)
# For IAM, until all of AWS knows what a role may that was made a moment ago.
_SETTLING_SECONDS: Final = 30
# By what Postgres said. Its own messages quote the data at hand.
_REFUSALS: Final = {
    errors.LockNotAvailable: (
        "Another transaction holds a table, or another migration runs. End it."
    ),
    errors.QueryCanceled: "A statement of the migration took too long.",
    errors.DuplicateTable: _NAME_TAKEN,
}


def bring_schema_up(*, at_most: float) -> str | None:
    """Migrate; returns what went wrong and what to do about it, without any value of a
    setting, or None. No statement lasts longer than so many seconds."""
    try:
        applied = _migrate_when_let_in(Settings(), at_most)
    except Exception as error:  # noqa: BLE001 - the door: logged, and its answer
        logger.error("migration failed", **describe(error))
        return f"{_reason(error)} Then deploy again."
    logger.info("migrated", applied=applied)
    return None


def _migrate_when_let_in(settings: Settings, at_most: float) -> list[str]:
    began, pause = time.monotonic(), 1.0
    while True:
        passed = time.monotonic() - began
        try:
            return _migrate(settings, at_most - passed)
        except AccessDeniedError:
            left = min(_SETTLING_SECONDS, at_most / 2) - passed
            if left <= 0:
                raise
        logger.info("the secret may not be read yet: trying again")
        time.sleep(min(pause, left))
        pause *= 2


def _migrate(settings: Settings, at_most: float) -> list[str]:
    schema = settings.schema
    with closing(Database.from_settings(settings)) as database:
        return migrate(
            database,
            schema=schema,
            mapping=settings.mapping,
            default_tier=settings.default_tier,
            earlier_schema=settings.earlier_schema,
            at_most=at_most,
        )


def _reason(error: Exception) -> str:
    if isinstance(error, SchemaOutdatedError) and isinstance(
        error.__cause__, Exception
    ):
        # "Run migrate" is no advice for a migration.
        error = error.__cause__
    if isinstance(error, ClerksyncError):
        return str(error)
    for kind, reason in _REFUSALS.items():
        if isinstance(error, kind):
            return reason
    what = type(error).__name__
    if isinstance(error, psycopg.Error) and error.sqlstate:
        what = f"Postgres: {what}, SQLSTATE {error.sqlstate}"
    return f"The migration failed ({what}). See the log of the migrate function."
