"""What a run of bulk sync is asked for."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from clerksync.clerk.user import is_clerk_id
from clerksync.errors import InvalidPayloadError


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
