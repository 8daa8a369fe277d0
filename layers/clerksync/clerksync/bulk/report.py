"""A bulk run from outside: what it is asked for, and what it tells in the end."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from clerksync.clerk.user import is_clerk_id
from clerksync.errors import InvalidPayloadError
from clerksync.write.outcome import Outcome

Status = Literal["completed", "partial", "refused", "failed"]
_SEVERITY: Final = ("completed", "partial", "refused", "failed")

Progress = Callable[[str, int, int], None]
"""Told of a phase (fetch, sweep), how many are done, and how many there are."""


def ignore(_phase: str, _done: int, _total: int) -> None:
    """Progress that nobody looks at."""


class BulkSyncRequest(BaseModel):
    """The event of the bulk sync function. EventBridge's own counts as the default, and
    nobody waits for its report."""

    model_config = ConfigDict(extra="forbid")

    mode: Literal["full", "incremental", "cleanup", "user"] = "full"
    user_id: str | None = None
    dry_run: bool = False
    force: bool = False
    unattended: bool = False
    """Nobody reads the report: the function raises for a failed or refused run."""
    continuation: Annotated[int, Field(ge=0)] = 0
    """How many runs before it ended for lack of time and started the next one."""

    @model_validator(mode="after")
    def _user_has_id(self) -> Self:
        if self.mode == "user" and not is_clerk_id(self.user_id):
            raise ValueError("mode user needs a user_id that begins with user_")
        return self

    @classmethod
    def from_event(cls, event: Mapping[str, Any] | None) -> Self:
        """Raises InvalidPayloadError for anything it does not know."""
        if not event:
            return cls()
        if "detail-type" in event:
            return cls(unattended=True)
        try:
            return cls.model_validate(event)
        except ValidationError as error:
            what = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or 'event'}: {e['msg']}"
                for e in error.errors()
            )
            raise InvalidPayloadError(f"Not an event of bulk sync: {what}.") from None


@dataclass(slots=True)
class Report:
    """What a run saw and did.

    fetched = created + updated + unchanged + skipped + failed, but for cleanup, which
    writes no user that it lists.
    """

    run_id: UUID
    mode: str
    status: Status = "completed"
    reason: str | None = None
    """Why it is not completed, or what else there is to do."""
    dry_run: bool = False
    fetched: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0
    deleted: int = 0
    deletions_blocked: int = 0
    """Users gone from Clerk whom the application's own tables hold fast."""
    failed: int = 0
    email_conflicts: int = 0
    orphans_found: int = 0
    requests: int = 0
    windows: int = 0
    """Into how many parts the instance's life was cut."""
    users_per_second: int = 0
    """Fetched, while users were being fetched and written."""
    plan_ms: int = 0
    """Whose instance is it, how many users, is there a walk to go on with?"""
    fetch_ms: int = 0
    """Fetching, with the writing that goes on at the same time."""
    write_ms: int = 0
    """Of these, how long the database was busy."""
    sweep_ms: int = 0
    prove_ms: int = 0
    """Of these, how long Clerk was asked for orphans by id."""
    duration_ms: int = 0
    continues: UUID | None = None
    """The run whose walk this one goes on with."""
    out_of_time: bool = False
    """It ended because its time was over, and another run can go on from there."""

    def as_json(self) -> dict[str, Any]:
        ids = {"run_id": str(self.run_id), "continues": None}
        if self.continues is not None:
            ids["continues"] = str(self.continues)
        return asdict(self) | ids

    def add(self, outcome: Outcome) -> None:
        """Count what was written. Whom a tombstone kept out the caller must count."""
        self.fetched += outcome.asked
        self.created += outcome.created
        self.updated += outcome.updated
        self.unchanged += outcome.unchanged
        self.skipped += outcome.skipped
        self.deleted += outcome.deleted
        self.failed += len(outcome.failed)
        self.email_conflicts += outcome.email_conflicts

    def fall_short(self, status: Status, reason: str) -> None:
        """Note why the run is not completed; of several statuses the worst stands."""
        self.status = max(self.status, status, key=_SEVERITY.index)
        self.explain(reason)

    def explain(self, reason: str) -> None:
        """Tell what a person should know, whatever the status."""
        self.reason = f"{self.reason} {reason}" if self.reason else reason


def ms_since(moment: float) -> int:
    """Whole milliseconds since a moment of `time.monotonic()`."""
    return round((time.monotonic() - moment) * 1000)
