"""What the webhook writes down."""

import json
from typing import Any

import pytest

from tests.doors import (
    assert_tells_nothing_private,
    log_lines,
)
from tests.integration.functions.webhook.door import Door
from tests.people import user_json


def test_every_delivery_is_logged_and_counted(
    door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line with type, action and delivery id; one metric by action."""
    body = json.dumps(door.clerk.event("user.created", user_json())).encode()
    door.post(body, door.clerk.sign(body, "msg_logged"))
    output = capsys.readouterr().out
    (line,) = log_lines(output, "webhook applied")
    assert (line["type"], line["action"], line["svix_id"]) == (
        "user.created",
        "created",
        "msg_logged",
    )
    assert '"WebhooksCreated":[1' in output.replace(" ", "")
    assert_tells_nothing_private(output)


def test_every_line_of_a_delivery_has_its_id(
    door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its metrics too, and no line of the next one."""
    for message in ("msg_first", "msg_second"):
        body = json.dumps(door.clerk.event("user.created", user_json())).encode()
        door.post(body, door.clerk.sign(body, message))
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert len(lines) >= 2
        assert {line["svix_id"] for line in lines} == {message}


@pytest.mark.usefixtures("known")
def test_a_refusal_is_logged_with_the_id_of_the_delivery(
    door: Door, event: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says what was refused and why, and has nothing of the body."""
    capsys.readouterr()
    door.deliver(event, svix_signature="v1,AAAA", svix_id="msg_refused")
    output = capsys.readouterr().out
    (line,) = log_lines(output, "request refused")
    assert (line["status"], line["error"], line["svix_id"]) == (
        400,
        "InvalidSignatureError",
        "msg_refused",
    )
    assert_tells_nothing_private(output, "Changed")
