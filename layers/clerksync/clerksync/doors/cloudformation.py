"""The answers of a CloudFormation custom resource.

The standard library is all that this needs, so that a layer with something missing is
reported as well, instead of waited for.
"""

import hashlib
import json
import time
import urllib.request
from collections.abc import Mapping
from typing import Any, Final, Literal

_TIMEOUT_SECONDS: Final = 5
_ATTEMPTS: Final = 3
# CloudFormation takes answers of at most 4096 bytes.
_LONGEST_REASON: Final = 1024
_FAILED: Final = "-failed-"


def answer(
    event: Mapping[str, Any],
    status: Literal["SUCCESS", "FAILED"],
    *,
    reason: str,
    physical_id: str,
    data: Mapping[str, str] | None = None,
) -> None:
    """Tell CloudFormation how its request ended; until then it waits.

    `data` is what `Fn::GetAtt` finds. Another `physical_id` than before makes
    CloudFormation delete the one before. Raises OSError when CloudFormation cannot be
    told within about 20 seconds.
    """
    body = {
        "Status": status,
        "Reason": reason[:_LONGEST_REASON],
        "PhysicalResourceId": physical_id,
        "Data": data or {},
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
    }
    # The URL is signed for a request without a content type.
    request = urllib.request.Request(  # noqa: S310 - CloudFormation's own URL
        event["ResponseURL"],
        json.dumps(body).encode(),
        {"content-type": ""},
        method="PUT",
    )
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS):  # noqa: S310 - same
                return
        except OSError:
            if attempt == _ATTEMPTS:
                raise
            time.sleep(attempt)


def kept_id(event: Mapping[str, Any], name: str) -> str:
    """The id that the resource has, or gets: the name, instead of none or of that of a
    failed update. A deletion is answered with the id that it asks for."""
    if event["RequestType"] != "Delete" and follows_failure(event):
        return name
    return event.get("PhysicalResourceId") or name


def failed_id(event: Mapping[str, Any], name: str) -> str:
    """The id to answer with when a request failed. That of an update tells what it was
    to change: CloudFormation sends no other sign that the next one takes it back."""
    if event["RequestType"] != "Update":
        return kept_id(event, name)
    before, after = _change(event)
    return f"{name}{_FAILED}{_digest_of_change(before, after)}"


def follows_failure(event: Mapping[str, Any]) -> bool:
    """Whether CloudFormation knows the resource by the id of a failed update."""
    return _FAILED in event.get("PhysicalResourceId", "")


def is_way_back(event: Mapping[str, Any]) -> bool:
    """Whether this takes back exactly what the failed update was to change."""
    before, after = _change(event)
    known_by: str = event.get("PhysicalResourceId", "")
    return known_by.endswith(f"{_FAILED}{_digest_of_change(after, before)}")


def _change(event: Mapping[str, Any]) -> tuple[Any, Any]:
    return event.get("OldResourceProperties"), event["ResourceProperties"]


def _digest_of_change(before: Any, after: Any) -> str:
    return digest({"before": before, "after": after})


def digest(properties: Mapping[str, Any]) -> str:
    """Another text whenever any of the properties is another: CloudFormation has no
    function for that."""
    text = json.dumps(properties, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
