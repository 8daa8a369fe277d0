"""What the state machine and the bulk sync function say to each other."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from clerksync.bulk.report import BulkSyncRequest
from clerksync.errors import InvalidPayloadError


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SharedRun(_Message):
    """What all steps after the plan are told of the run."""

    run_id: UUID
    request: BulkSyncRequest
    instance_id: str
    rate_limit: int
    """Of Clerk's limit, each window's share: requests in 10 seconds."""
    expected: int
    """How many users Clerk counted before the walk."""
    windows: int
    requests: int
    """What the plan has asked Clerk."""
    plan_ms: int


class Counts(_Message):
    """What of the report the parts of a run have each for themselves."""

    fetched: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0
    deleted: int = 0
    failed: int = 0
    email_conflicts: int = 0
    requests: int = 0
    windows: int = 0
    write_ms: int = 0


class Part(_Message):
    """A planned window of the walk, and how far it has come."""

    status: Literal["planned", "unfinished", "done", "failed"]
    reason: str | None = None
    windows: list[dict[str, Any]] = []
    """What is left of it, as Windows.as_json gives it."""
    users: int = 0
    """As many as Clerk counted in it."""
    counts: Counts = Counts()

    def failed(self, reason: str) -> Self:
        return self.model_copy(update={"status": "failed", "reason": reason})


class Plan(_Message):
    step: Literal["plan"]
    request: dict[str, Any] = {}
    """An event as the function takes it without a state machine."""
    concurrency: Annotated[int, Field(ge=1)] = 1
    """How many windows may be walked at once."""


class Walk(_Message):
    step: Literal["window"]
    run: SharedRun
    part: Part


class Finish(_Message):
    step: Literal["finish"]
    run: SharedRun
    parts: list[Part]


Step = Plan | Walk | Finish
_STEP: TypeAdapter[Step] = TypeAdapter(Annotated[Step, Field(discriminator="step")])


def read_step(event: Mapping[str, Any]) -> Step:
    """Raises InvalidPayloadError for anything it does not know."""
    try:
        return _STEP.validate_python(event)
    except ValidationError as error:
        what = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'event'}: {e['msg']}"
            for e in error.errors()
        )
        raise InvalidPayloadError(f"Not a step of bulk sync: {what}.") from None
