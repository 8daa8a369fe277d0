"""When CloudFormation publishes a version of a function: read off what SAM makes of the
built template, for more kinds of changes than are worth a deployment."""

import json
import subprocess
from typing import Any, Final

import pytest

from tests.e2e.cloud import ROOT, SAM
from tests.e2e.stack import BUILD

VERSIONED: Final = ("WebhookFunction", "SelfSyncFunction")
# What `sam deploy` writes there: where it has put the archive, named by its content.
_ARCHIVES: Final = {
    "Resources.ClerksyncLayer.Properties.ContentUri": "s3://bucket/layer",
    "Resources.BulkSyncStateMachine.Properties.DefinitionUri": "s3://bucket/machine",
} | {
    f"Resources.{name}.Properties.CodeUri": f"s3://bucket/{name}"
    for name in (*VERSIONED, "BulkSyncFunction", "MigrateFunction")
}


_CHANGES: Final[dict[str, dict[str, Any]]] = {
    "nothing": {},
    "once more": {},
    "code": {"Resources.WebhookFunction.Properties.CodeUri": "s3://bucket/other"},
    "timeout": {"Resources.WebhookFunction.Properties.Timeout": 13},
    "memory": {"Globals.Function.MemorySize": 1024},
    "layer": {"Resources.ClerksyncLayer.Properties.ContentUri": "s3://bucket/other"},
}

Resources = dict[str, Any]


@pytest.fixture(scope="module")
def transformed() -> dict[str, Resources]:
    """The resources of the built template, by what was changed in it."""
    changes = [_ARCHIVES | change for change in _CHANGES.values()]
    command = [
        str(SAM / "bin" / "python"),
        str(ROOT / "tests" / "e2e" / "transform.py"),
        str(BUILD / "template.yaml"),
        json.dumps(changes),
    ]
    done = subprocess.run(  # noqa: S603 - our own command
        command, capture_output=True, check=False, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    made = [template["Resources"] for template in json.loads(done.stdout)]
    return dict(zip(_CHANGES, made, strict=True))


@pytest.fixture(scope="module")
def resources(transformed: dict[str, Resources]) -> Resources:
    return transformed["nothing"]


def version(resources: Resources, function: str) -> str:
    """The logical id of the version that the alias leads to."""
    alias = resources[f"{function}Aliaslive"]["Properties"]
    logical_id, attribute = alias["FunctionVersion"]["Fn::GetAtt"]
    assert attribute == "Version"
    assert resources[logical_id]["Type"] == "AWS::Lambda::Version"
    return str(logical_id)


@pytest.mark.parametrize("function", VERSIONED)
def test_the_same_template_publishes_none(
    transformed: dict[str, Resources], resources: Resources, function: str
) -> None:
    """Lambda would refuse to publish what it has."""
    assert version(transformed["once more"], function) == version(resources, function)


@pytest.mark.parametrize("change", ["code", "timeout", "memory"])
def test_code_and_template_are_in_the_logical_id(
    transformed: dict[str, Resources], resources: Resources, change: str
) -> None:
    """Another id is another resource: a version more, and one less."""
    before, now = (
        version(r, "WebhookFunction") for r in (resources, transformed[change])
    )
    assert now != before


def test_the_layer_is_in_the_digest(
    transformed: dict[str, Resources], resources: Resources
) -> None:
    """By the name of its version, which SAM makes of its content."""

    def layers(resources: Resources) -> Any:
        digested = resources["FunctionSettings"]["Properties"]["Functions"]["Layers"]
        assert digested == resources["WebhookFunction"]["Properties"]["Layers"]
        return digested

    assert layers(transformed["layer"]) != layers(resources)


@pytest.mark.parametrize("function", VERSIONED)
def test_every_parameter_of_a_function_is_in_the_digest(
    resources: Resources, function: str
) -> None:
    """Whatever is not in a version, such as reserved concurrency, need not be."""
    properties = dict(resources[function]["Properties"])
    not_in_a_version = ("ReservedConcurrentExecutions", "Role", "Tags")
    for name in not_in_a_version:
        properties.pop(name, None)
    log_group = properties.pop("LoggingConfig")["LogGroup"]["Ref"]
    assert "Ref" not in json.dumps(resources[log_group]["Properties"]["LogGroupName"])
    properties["Description"]["Fn::Sub"].index("${FunctionSettings.Digest}")
    assert referred(properties) <= referred(resources["FunctionSettings"])


def referred(value: Any) -> set[str]:
    """Parameters, resources and conditions that something is made with."""
    match value:
        case {"Ref": str(name)}:
            return {name}
        case {"Fn::If": [condition, *branches]}:
            return {condition}.union(*map(referred, branches))
        case dict():
            return set().union(*map(referred, value.values()))
        case list():
            return set().union(*map(referred, value))
    return set()


@pytest.mark.parametrize("function", VERSIONED)
def test_a_digest_that_changes_replaces_the_version(
    resources: Resources, function: str
) -> None:
    """It is the version's description, which cannot be changed; and the function's, so
    that there is something to publish. What was replaced is deleted."""
    digest = {"Fn::GetAtt": ["FunctionSettings", "Digest"]}
    published = resources[version(resources, function)]
    assert published["Properties"]["Description"] == digest
    assert published["DeletionPolicy"] == published["UpdateReplacePolicy"] == "Delete"
    described = resources[function]["Properties"]["Description"]
    assert "${FunctionSettings.Digest}" in described["Fn::Sub"]


@pytest.mark.parametrize("function", VERSIONED)
def test_the_api_asks_the_alias_and_may(resources: Resources, function: str) -> None:
    """Never the function itself, which is half old and half new while it is updated."""
    body = json.dumps(resources["HttpApi"]["Properties"]["Body"])
    assert f"functions/${{{function}Aliaslive}}/invocations" in body
    assert f"{function}.Arn" not in body
    permissions = [
        r["Properties"]["FunctionName"]
        for name, r in resources.items()
        if r["Type"] == "AWS::Lambda::Permission" and name.startswith(function)
    ]
    assert permissions
    assert all(name == {"Ref": f"{function}Aliaslive"} for name in permissions)


def test_what_nobody_waits_for_has_no_version(resources: Resources) -> None:
    """Schedule, state machine, failure queue and the run's own next one mean the
    function itself."""
    for name in ("BulkSyncFunction", "MigrateFunction"):
        assert f"{name}Aliaslive" not in resources
        assert "SnapStart" not in resources[name]["Properties"]
