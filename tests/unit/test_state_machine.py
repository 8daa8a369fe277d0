"""What the state machine promises: order, retries, permissions, one schedule."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.template import RESOURCES, TEMPLATE

_ROOT = Path(__file__).parents[2]
_MACHINE: dict[str, Any] = RESOURCES["BulkSyncStateMachine"]["Properties"]
_TEXT = (_ROOT / _MACHINE["DefinitionUri"]).read_text("utf-8")
_DEFINITION: dict[str, Any] = json.loads(_TEXT)
_THROTTLES = {
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ServiceException",
    "Lambda.TooManyRequestsException",
}


def _states(machine: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, state in machine["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from _states(state["ItemProcessor"])


_STATES = dict(_states(_DEFINITION))
_TASKS = {
    name: state
    for name, state in _STATES.items()
    if state.get("Resource") == "${BulkSyncFunctionArn}"
}


def test_every_step_of_the_function_is_taken() -> None:
    """By the one function, whose ARN the template puts in."""
    steps = [task["Arguments"]["step"] for task in _TASKS.values()]
    assert steps == ["plan", "window", "finish"]


def test_every_state_leads_to_one_that_is_there() -> None:
    """And no state is left without a way on, or an end."""
    for machine in (_DEFINITION, _STATES["Walk"]["ItemProcessor"]):
        text = json.dumps(machine["States"])
        named = re.findall(r'"(?:Next|Default|StartAt)": "([^"]+)"', text)
        assert set(named) <= set(_STATES)
        assert machine["StartAt"] in machine["States"]
        for state in machine["States"].values():
            ends = state["Type"] in {"Succeed", "Fail"} or state.get("End")
            assert ends or "Next" in state or "Default" in state


@pytest.mark.parametrize("name", _TASKS)
def test_a_throttled_step_is_asked_for_again(name: str) -> None:
    """For minutes, more and more slowly; these errors come before the function ran."""
    retrier = _TASKS[name]["Retry"][0]
    assert set(retrier["ErrorEquals"]) == _THROTTLES
    assert retrier["MaxAttempts"] >= 8
    assert retrier["BackoffRate"] > 1


def test_a_window_that_raises_is_walked_again_and_then_counts_as_failed() -> None:
    """It takes no other window with it, and what it had counted is kept."""
    window = _TASKS["Walk a window"]
    assert window["Retry"][-1]["ErrorEquals"] == ["States.ALL"]
    (catcher,) = window["Catch"]
    assert catcher["ErrorEquals"] == ["States.ALL"]
    assert catcher["Output"]["part"]["status"] == "failed"
    assert "counts" in catcher["Output"]["part"]


def test_a_plan_is_not_made_again_for_what_it_raises() -> None:
    """It would begin another run in the ledger."""
    assert len(_TASKS["Plan"]["Retry"]) == 1


def test_what_is_put_in_is_what_the_template_gives() -> None:
    """Nothing of ${…} is left over, and nothing is given in vain."""
    placeholders = set(re.findall(r"\$\{(\w+)\}", _TEXT))
    assert placeholders == set(_MACHINE["DefinitionSubstitutions"])


def test_a_run_that_failed_lands_in_the_failure_queue() -> None:
    """Whether a step said so or raised; then the execution fails as well."""
    queue = "Tell the failure queue"
    assert _STATES["Ended"]["Default"] == queue
    for name in ("Plan", "Finish"):
        (catcher,) = _TASKS[name]["Catch"]
        assert (catcher["ErrorEquals"], catcher["Next"]) == (["States.ALL"], queue)
    assert _STATES[_STATES[queue]["Next"]]["Type"] == "Fail"


def test_the_state_machine_may_do_two_things_and_nothing_else() -> None:
    """Invoke that function, and write to that queue."""
    (policy,) = _MACHINE["Policies"]
    allowed = [
        (s["Effect"], s["Action"], s["Resource"]["Fn::GetAtt"])
        for s in policy["Statement"]
    ]
    assert allowed == [
        ("Allow", "lambda:InvokeFunction", "BulkSyncFunction.Arn"),
        ("Allow", "sqs:SendMessage", "FailureQueue.Arn"),
    ]


def test_the_schedule_starts_the_one_or_the_other() -> None:
    """At the same time, with what both take for a full run."""
    assert TEMPLATE["Parameters"]["BulkSyncEngine"]["Default"] == "Lambda"
    assert RESOURCES["BulkSyncStateMachine"]["Condition"] == "HasStateMachine"
    events = RESOURCES["BulkSyncFunction"]["Properties"]["Events"]
    function = dict(events["Nightly"]["Properties"])
    machine = dict(_MACHINE["Events"]["Nightly"]["Properties"])
    wanted = machine.pop("State")
    assert wanted == {"Ref": "SyncScheduleState"}
    assert function.pop("State") == {"Fn::If": ["HasStateMachine", "DISABLED", wanted]}
    assert json.loads(machine.pop("Input")) == {"mode": "full"}
    assert function == machine
