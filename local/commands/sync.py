"""`sync`, `cleanup` and `sync-user`."""

import json
import math
import time
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from clerksync.bulk.request import BulkSyncRequest
from clerksync.bulk.run import BulkSync
from clerksync.clerk.retry import BULK
from clerksync.settings.clerk_client import clerk_client
from clerksync.time_limit import time_limit as limited
from local.commands.context import (
    ClerkId,
    check_id,
    database,
    err,
    out,
    stack,
)
from local.commands.rate_limits import check_tier, set_tier
from local.dry_run import Changes, show_changes
from local.progress import show_report, shown_progress

# For a statement that waits, such as for a table that the application has locked.
_GRACE_SECONDS = 1.5

DryRun = Annotated[bool, typer.Option(help="Show what would change, change nothing.")]
Force = Annotated[
    bool, typer.Option(help="Go on where a guard refuses: orphans, another instance.")
]


def _finite(seconds: float | None) -> float | None:
    # "nan" and "inf" are numbers too, and greater than the least one.
    if seconds is not None and not math.isfinite(seconds):
        raise typer.BadParameter("not a number of seconds")
    return seconds


TimeLimit = Annotated[
    float | None,
    typer.Option(
        min=1,
        callback=_finite,
        metavar="SECONDS",
        help="Stop after so long; the next run goes on from there.",
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the report as JSON, and nothing else.")
]

OutFile = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FILE",
        help="Of a dry run: write every change to this file, a JSON object a line.",
    ),
]


class Mode(StrEnum):
    full = "full"
    incremental = "incremental"
    cleanup = "cleanup"


def sync(
    mode: Annotated[Mode, typer.Option(help="How much to look at.")] = Mode.full,
    *,
    dry_run: DryRun = False,
    force: Force = False,
    time_limit: TimeLimit = None,
    as_json: AsJson = False,
    out_file: OutFile = None,
) -> None:
    """Make the table equal to Clerk, and delete who is gone."""
    request = BulkSyncRequest(mode=mode.value, dry_run=dry_run, force=force)
    _bulk(request, as_json=as_json, time_limit=time_limit, out_file=out_file)


def cleanup(
    *,
    dry_run: DryRun = False,
    force: Force = False,
    time_limit: TimeLimit = None,
    as_json: AsJson = False,
    out_file: OutFile = None,
) -> None:
    """Only delete who is gone from Clerk."""
    request = BulkSyncRequest(mode="cleanup", dry_run=dry_run, force=force)
    _bulk(request, as_json=as_json, time_limit=time_limit, out_file=out_file)


def sync_user(
    clerk_id: ClerkId,
    *,
    tier: Annotated[
        str | None, typer.Option(metavar="TIER", help="Then set its tier.")
    ] = None,
    dry_run: DryRun = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Ask Clerk for one user and write, or delete, it."""
    check_id(clerk_id)
    request = BulkSyncRequest(
        mode="user", user_id=clerk_id, dry_run=dry_run, force=force
    )
    _bulk(request, as_json=as_json, tier=tier)


def _bulk(
    request: BulkSyncRequest,
    *,
    as_json: bool,
    time_limit: float | None = None,
    tier: str | None = None,
    out_file: Path | None = None,
) -> None:
    if out_file is not None and not request.dry_run:
        raise typer.BadParameter("--out is for a dry run: add --dry-run")
    deadline = time.monotonic() + (time_limit or math.inf)
    with ExitStack() as opened_here:
        settings = opened_here.enter_context(stack())
        opened = opened_here.enter_context(database(settings))
        changes = opened_here.enter_context(Changes.collected(out_file))
        if tier is not None:
            check_tier(opened, settings, tier)
        with shown_progress(err if as_json else out) as progress:
            clerk = clerk_client(settings, BULK)
            sync = BulkSync(settings, opened, clerk, progress, changes.add)
            with limited(deadline + _GRACE_SECONDS - time.monotonic()):
                report = sync.run(request, deadline=deadline)
        if as_json and request.dry_run:
            for part in changes.json_parts(report.as_json()):
                print(part, end="")
            print()
        elif as_json:
            print(json.dumps(report.as_json()))
        else:
            if request.dry_run:
                show_changes(out, changes)
            show_report(out, report)
        if report.status != "completed":
            raise typer.Exit(1)
        if tier is not None and request.user_id is not None and not request.dry_run:
            console = err if as_json else out
            set_tier(console, opened, settings, request.user_id, tier)
