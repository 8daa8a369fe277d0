"""The schema as a resource of the stack: a deployment brings it up, or fails. Beside
it, a digest of what the functions are made with, which changes when they do.

Of the layer, only the answer is imported before there is a request to be answered: so
whatever else the layer lacks is the reason of a failed deployment, at once.
"""

import threading
from collections.abc import Mapping
from typing import Any, Final

from clerksync.doors.cloudformation import (
    answer,
    digest,
    failed_id,
    follows_failure,
    is_way_back,
    kept_id,
)

_PHYSICAL_ID: Final = "clerksync-schema"
_DIGEST_ID: Final = "clerksync-function-settings"
# Of Lambda's time: for the answer, which may take a few tries, and before it, for
# Postgres to say what took so long.
_RESERVE_SECONDS: Final = 25
_GRACE_SECONDS: Final = 5


def handler(event: Mapping[str, Any], context: Any) -> None:
    """Answer CloudFormation's request in any case, and before Lambda's time is over.

    Raises OSError only when CloudFormation cannot be reached: Lambda then tries again.
    """
    if event["ResourceType"] == "Custom::Digest":
        value = digest(event["ResourceProperties"])
        done = {"reason": "Digested.", "physical_id": kept_id(event, _DIGEST_ID)}
        answer(event, "SUCCESS", **done, data={"Digest": value})
        return
    failure = None if _needs_nothing(event) else _migrate_in_time(context)
    reason = failure or "The schema is up."
    if failure is None or is_way_back(event):
        kept = kept_id(event, _PHYSICAL_ID)
        answer(event, "SUCCESS", reason=reason, physical_id=kept)
    else:
        failed = failed_id(event, _PHYSICAL_ID)
        answer(event, "FAILED", reason=reason, physical_id=failed)


def _needs_nothing(event: Mapping[str, Any]) -> bool:
    """Whether the stack goes, whose data stays, or goes back to the layer that it had
    before, for which the schema is up: both must succeed without a database as well."""
    if event["RequestType"] == "Delete":
        return True
    name, version = _layer(event["ResourceProperties"])
    name_before, version_before = _layer(event.get("OldResourceProperties", {}))
    goes_back = name == name_before and version < version_before
    # After a failure that stayed, a lower layer may come with other settings.
    return goes_back and (is_way_back(event) or not follows_failure(event))


def _layer(properties: Mapping[str, str]) -> tuple[str, int]:
    """Name and number of the version in its ARN. Lambda gives a name no number twice: a
    lower one is that of an earlier deployment."""
    name, _, number = properties.get("Layer", "").rpartition(":")
    return name, int(number) if number.isdecimal() else 0


def _migrate_in_time(context: Any) -> str | None:
    """Why the schema is not up, and what to do; or None."""
    seconds = context.get_remaining_time_in_millis() / 1000 - _RESERVE_SECONDS
    failures: list[str | None] = []

    def work() -> None:
        failures.append(_migrate(seconds))

    # Whatever hangs, there is an answer. A migration that comes to its end after all
    # does no harm: code that runs finds what it needs in a newer schema too.
    worker = threading.Thread(target=work, name="migration", daemon=True)
    worker.start()
    worker.join(seconds + _GRACE_SECONDS)
    late = f"The migration was not done after {seconds:.0f} seconds. Deploy again."
    return failures[0] if failures else late


def _migrate(seconds: float) -> str | None:
    try:
        from clerksync.doors.deploy_migration import bring_schema_up  # noqa: PLC0415 - see the top
    except ImportError as error:
        missing = error.name or str(error).partition("\n")[0]
        return (
            f"The layer lacks something ({missing}). Build it with sam build, for the "
            "runtime and the architecture of the template, and deploy again."
        )
    return bring_schema_up(at_most=seconds)
