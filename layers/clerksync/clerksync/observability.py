"""Logger and metrics, made once. Ids and counts only: never emails, names or tokens."""

import os
import traceback
from typing import Any, Final

import psycopg
from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit

from clerksync.errors import (
    ClerksyncError,
    DatabaseUnreachableError,
    DeletionBlockedError,
    RowRefusedError,
    SchemaOutdatedError,
)

# The stack's name in Lambda: metrics of two stacks in one account stay apart.
_SERVICE: Final = os.environ.get("POWERTOOLS_SERVICE_NAME") or "clerksync"

_AT_DATABASE: Final = (
    DatabaseUnreachableError,
    DeletionBlockedError,
    RowRefusedError,
    SchemaOutdatedError,
)
# Of one delivery, and of one run: every line that belongs to it has it.
_IDS: Final = frozenset({"svix_id", "run_id"})

# Lambda's own filter takes a line whose timestamp it cannot read for INFO.
logger: Final = Logger(service=_SERVICE, use_rfc3339=True)
metrics: Final = Metrics(namespace="clerksync", service=_SERVICE)


def count(name: str, value: float = 1) -> None:
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def count_milliseconds(name: str, value: float) -> None:
    metrics.add_metric(name=name, unit=MetricUnit.Milliseconds, value=value)


def count_failure(error: BaseException) -> None:
    """Count what goes wrong at the database, as DatabaseErrors; a deletion that is
    blocked also as DeletionsBlocked, with the name of what blocks it beside it."""
    if isinstance(error, (psycopg.Error, *_AT_DATABASE)):
        count("DatabaseErrors")
    if isinstance(error, DeletionBlockedError):
        count("DeletionsBlocked")
        metrics.add_metadata(key="blocked_by", value=error.obstacle)


def flush_metrics() -> None:
    """Write out what was counted, with the ids that the log has. Powertools warns of an
    empty flush: none then."""
    if metrics.metric_set:
        for key, value in logger.get_current_keys().items():
            if key in _IDS and value is not None:
                metrics.add_metadata(key=key, value=value)
        metrics.flush_metrics()
        metrics.clear_metrics()  # which it leaves out where metrics are disabled


def describe(error: BaseException) -> dict[str, Any]:
    """An exception for the log: what and where, without the message.

    The messages of Postgres and of libraries quote the data at hand. Our own do not.
    """
    frames = traceback.extract_tb(error.__traceback__)
    description: dict[str, Any] = {
        "error": type(error).__name__,
        "at": [f"{frame.filename}:{frame.lineno}" for frame in frames[-8:]],
    }
    if isinstance(error, ClerksyncError):
        description["reason"] = getattr(error, "why", None) or str(error)
    # What Postgres said may stand behind an error of our own.
    said = error if isinstance(error, psycopg.Error) else error.__cause__
    if isinstance(said, psycopg.Error):
        description["sqlstate"] = said.sqlstate
        description["table"] = said.diag.table_name
        description["constraint"] = said.diag.constraint_name
        description["column"] = said.diag.column_name
        # "permission denied for table …": of Postgres itself, and not of a trigger.
        if said.diag.source_function == "aclcheck_error":
            description["denied"] = said.diag.message_primary
    return description
