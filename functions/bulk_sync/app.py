"""The scheduled bulk sync, also to be invoked by hand with a mode."""

from collections.abc import Mapping
from typing import Any

from clerksync.bulk_run import BulkSyncRequest
from clerksync.clerk_api import BULK, ClerkApi
from clerksync.database import Database
from clerksync.errors import ClerksyncError
from clerksync.observability import count, describe, flush_metrics, logger
from clerksync.reconcile import BulkSync, Progress, ignore
from clerksync.settings import Settings

settings = Settings()
database = Database(lambda: settings.database_url)
clerk = ClerkApi(settings, BULK)


class BulkSyncFailedError(Exception):
    """What Lambda is shown of a run that could not even be recorded."""


def handler(
    event: Mapping[str, Any] | None, _context: object, progress: Progress = ignore
) -> dict[str, Any]:
    """The report of the run. Raises where there is no report: bad event, no settings,
    no database; the message then holds no data."""
    try:
        request = BulkSyncRequest.from_event(event)
        report = BulkSync(settings, database, clerk, progress).run(request).as_json()
    except ClerksyncError as error:
        logger.error("bulk sync failed", **describe(error))
        raise BulkSyncFailedError(str(error)) from None
    except Exception as error:  # noqa: BLE001 - the door: logged, raised anew
        logger.error("bulk sync failed", **describe(error))
        raise BulkSyncFailedError(f"{type(error).__name__}, see the log.") from None
    else:
        log = logger.info if report["status"] == "completed" else logger.error
        log("bulk sync ended", report=report)
        for name in ("created", "updated", "deleted", "failed", "email_conflicts"):
            count(f"BulkSync{name.title().replace('_', '')}", report[name])
        return report
    finally:
        flush_metrics()
        logger.remove_keys(["run_id"])
