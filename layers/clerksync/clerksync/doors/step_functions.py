"""The steps of a distributed run, as a state machine's events ask for them."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from clerksync.bulk.distributed_run import DistributedRun
from clerksync.bulk.request import BulkSyncRequest
from clerksync.bulk.shared_run import Part, Planned, SharedRun
from clerksync.errors import InvalidPayloadError


class _Event(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PlanEvent(_Event):
    step: Literal["plan"]
    request: dict[str, Any] = {}
    """An event as the function takes it without a state machine."""
    concurrency: Annotated[int, Field(ge=1)] = 1
    """How many parts may be walked at once."""


class WalkEvent(_Event):
    step: Literal["window"]
    run: SharedRun
    part: Part


class FinishEvent(_Event):
    step: Literal["finish"]
    run: SharedRun
    parts: list[Part]


StepEvent = PlanEvent | WalkEvent | FinishEvent
_EVENT: TypeAdapter[StepEvent] = TypeAdapter(
    Annotated[StepEvent, Field(discriminator="step")]
)


def take_step(run: DistributedRun, event: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the state machine needs for the next step: a plan, a part, or the
    run's report.

    Raises InvalidPayloadError for anything it does not know, and what the step raises.
    """
    match _read(event):
        case PlanEvent(request=asked, concurrency=concurrency):
            request = BulkSyncRequest.from_event(asked)
            planned = run.plan(request, at_once=concurrency)
            return _as_json(planned) if isinstance(planned, Planned) else planned
        case WalkEvent(run=shared, part=part):
            return run.walk(shared, part).model_dump(mode="json")
        case FinishEvent(run=shared, parts=parts):
            return run.finish(shared, parts)


def _as_json(planned: Planned) -> dict[str, Any]:
    return {
        "status": "running",
        "run": planned.run.model_dump(mode="json"),
        "concurrency": planned.at_once,
        "parts": [part.model_dump(mode="json") for part in planned.parts],
    }


def _read(event: Mapping[str, Any]) -> StepEvent:
    try:
        return _EVENT.validate_python(event)
    except ValidationError as error:
        what = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'event'}: {e['msg']}"
            for e in error.errors()
        )
        raise InvalidPayloadError(f"Not a step of bulk sync: {what}.") from None
