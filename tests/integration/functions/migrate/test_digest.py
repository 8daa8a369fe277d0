"""What tells CloudFormation that functions were made with something else."""

import copy
from typing import Any

import pytest

from tests.doors import UNREACHABLE, sample
from tests.integration.functions.migrate.stack import Stack


@pytest.fixture
def properties(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """No database is needed for any of this."""
    monkeypatch.setenv("DATABASE_URL", UNREACHABLE)
    given: dict[str, Any] = sample("function_settings")["ResourceProperties"]
    return given


def digest(stack: Stack, properties: dict[str, Any], request: str = "Update") -> str:
    answer = stack.ask(
        request,
        ResourceType="Custom::Digest",
        LogicalResourceId="FunctionSettings",
        ResourceProperties=properties,
    )
    assert answer["Status"] == "SUCCESS"
    (value,) = answer["Data"].values()
    assert isinstance(value, str)
    return value


def test_the_same_has_the_same_digest(stack: Stack, properties: dict[str, Any]) -> None:
    """In whatever order it is told: else an update without a change would publish."""
    turned = dict(reversed([*properties.items()]))
    first = digest(stack, properties, "Create")
    assert digest(stack, properties) == digest(stack, turned) == first


def test_whatever_changes_has_another_digest(
    stack: Stack, properties: dict[str, Any]
) -> None:
    """A parameter, the layer, something that is new or gone; and back again."""
    changed = [copy.deepcopy(properties) for _ in range(5)]
    variables = changed[0]["Functions"]["Environment"]["Variables"]
    variables["CLERKSYNC_DEFAULT_TIER"] = "PRO"
    changed[1]["Functions"]["Layers"][0] += "1"
    changed[2]["SnapStart"] = "PublishedVersions"
    changed[3]["Functions"]["VpcConfig"] = {"SubnetIds": ["subnet-1"]}
    del changed[4]["Functions"]["MemorySize"]
    digests = {digest(stack, other) for other in (*changed, properties)}
    assert len(digests) == 6
    assert digest(stack, properties) in digests


def test_the_digest_is_short_enough_for_a_description(
    stack: Stack, properties: dict[str, Any]
) -> None:
    """Lambda's have 256 characters, and nothing of a parameter is to be read there."""
    value = digest(stack, properties)
    assert len(value) <= 64
    assert value.isalnum()


def test_deleting_the_stack_needs_no_digest(
    stack: Stack, properties: dict[str, Any]
) -> None:
    """It succeeds as all others."""
    digest(stack, properties, "Delete")
