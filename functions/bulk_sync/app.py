"""The scheduled bulk sync, also to be invoked by hand with a mode."""

import math
import time
from collections.abc import Mapping
from typing import Any, Final

from clerksync.bulk.job import Progress, ignore
from clerksync.bulk.request import BulkSyncRequest
from clerksync.bulk.run import BulkSync
from clerksync.bulk.run_end import log_run
from clerksync.clerk.retry import BULK
from clerksync.doors.next_run import start_next_run
from clerksync.errors import ClerksyncError
from clerksync.observability import (
    count_failure,
    describe,
    flush_metrics,
    logger,
)
from clerksync.postgres.database import Database
from clerksync.settings.clerk_client import clerk_client
from clerksync.settings.environment import Settings
from clerksync.time_limit import time_limit

# For what is on its way when the time is over: a page, a batch, the ledger.
_RESERVE_SECONDS: Final = 20
# For telling that nobody answered, before Lambda ends it without a word.
_LAST_SECONDS: Final = 5

settings = Settings()
database = Database.from_settings(settings)
clerk = clerk_client(settings, BULK)


class BulkSyncFailedError(Exception):
    """What Lambda is shown of a run without a report, or whose report nobody reads."""


def handler(
    event: Mapping[str, Any] | None, context: Any, progress: Progress = ignore
) -> dict[str, Any]:
    """The report of the run. A run that Lambda's time did not suffice for starts the
    next one, which goes on from there.

    Raises where there is no report (bad event, no settings, no database), and where
    nobody reads it that the run failed or was refused. The message holds no data.

    An event with a `step` is the state machine's: it is answered with what the machine
    needs for the next one.
    """
    try:
        if event and "step" in event:
            return _step_of_distributed_run(event, context)
        request = BulkSyncRequest.from_event(event)
        at_most = settings.max_continuations
        sync = BulkSync(settings, database, clerk, progress)
        with time_limit(_left_for_waiting(context)):
            report = sync.run(request, deadline=_deadline(context))
        if report.out_of_time and context is not None:
            arn = context.invoked_function_arn
            start_next_run(request, function_arn=arn, at_most=at_most)
    except ClerksyncError as error:
        logger.error("bulk sync failed", **describe(error))
        count_failure(error)
        raise BulkSyncFailedError(str(error)) from None
    except Exception as error:  # noqa: BLE001 - the door: logged, raised anew
        logger.error("bulk sync failed", **describe(error))
        count_failure(error)
        raise BulkSyncFailedError(f"{type(error).__name__}, see the log.") from None
    else:
        as_json = report.as_json()
        log_run(as_json)
        if request.unattended and report.status in {"failed", "refused"}:
            raise BulkSyncFailedError(f"Run {report.run_id}: {report.reason}")
        return as_json
    finally:
        flush_metrics()
        logger.remove_keys(["run_id"])


def _step_of_distributed_run(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    # Imported here, so that other runs start without the models of its events.
    from clerksync.bulk.distributed_run import DistributedRun  # noqa: PLC0415 - see above
    from clerksync.doors.step_functions import take_step  # noqa: PLC0415 - see above

    run = DistributedRun(settings, database, clerk, deadline=_deadline(context))
    with time_limit(_left_for_waiting(context)):
        return take_step(run, event)


def _deadline(context: Any) -> float:
    """Of time.monotonic(), for the run."""
    seconds = _seconds(context)
    return time.monotonic() + max(seconds - _RESERVE_SECONDS, seconds / 2)


def _left_for_waiting(context: Any) -> float:
    seconds = _seconds(context)
    return max(seconds - _LAST_SECONDS, seconds * 3 / 4)


def _seconds(context: Any) -> float:
    """Until Lambda ends the function. Without its context there is no end."""
    if context is None:
        return math.inf
    return float(context.get_remaining_time_in_millis()) / 1000
