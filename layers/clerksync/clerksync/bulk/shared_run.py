"""What the steps of a distributed run tell each other."""

from typing import Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from clerksync.bulk.report import Counts
from clerksync.bulk.request import BulkSyncRequest


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SharedRun(_Message):
    """What all steps after the plan need to know of the run."""

    run_id: UUID
    request: BulkSyncRequest
    instance_id: str
    rate_limit: int
    """Each window's share of Clerk's limit: requests in 10 seconds."""
    created_before: int
    """The end of the listing. Unix ms of Clerk's clock."""
    expected: int
    """How many users Clerk counted before the walk."""
    windows: int
    requests: int
    """How many the plan has sent to Clerk."""
    plan_ms: int


class Part(_Message):
    """A planned window of the walk, and how far it has come."""

    status: Literal["planned", "unfinished", "done", "failed"]
    reason: str | None = None
    stuck: bool = False
    """The listing did not advance."""
    windows: list[dict[str, Any]] = []
    """What is left of it, as Windows.as_json returns it."""
    users: int = 0
    """How many Clerk counted in it."""
    counts: Counts = Counts()

    def failed(self, reason: str) -> Self:
        return self.model_copy(update={"status": "failed", "reason": reason})


class Planned(_Message):
    """A run that has begun, and the parts of its walk."""

    run: SharedRun
    parts: list[Part]
    at_once: int
    """How many parts may be walked at once."""
