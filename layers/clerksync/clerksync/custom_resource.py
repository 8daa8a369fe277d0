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


def answer(
    event: Mapping[str, Any],
    status: Literal["SUCCESS", "FAILED"],
    *,
    reason: str,
    physical_id: str,
    data: Mapping[str, str] | None = None,
) -> None:
    """Tell CloudFormation how its request ended; until then it waits.

    `data` is what `Fn::GetAtt` finds. A resource keeps the id that it had. Raises
    OSError when CloudFormation cannot be told within about 20 seconds.
    """
    body = {
        "Status": status,
        "Reason": reason[:_LONGEST_REASON],
        "PhysicalResourceId": event.get("PhysicalResourceId") or physical_id,
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


def digest(properties: Mapping[str, Any]) -> str:
    """Another text whenever any of the properties is another: CloudFormation has no
    function for that."""
    text = json.dumps(properties, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
