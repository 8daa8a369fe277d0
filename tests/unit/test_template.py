"""What the SAM template promises: routes, settings, secrets, permissions."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto import mock_aws

from clerksync.settings import Settings

_ROOT = Path(__file__).parents[2]
_TEXT = (_ROOT / "template.yaml").read_text("utf-8")


class _CloudFormation(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, `!Ref x` for `{"Ref": "x"}`."""


def _function(loader: yaml.SafeLoader, name: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        value = node.value
    return {name if name in {"Ref", "Condition"} else f"Fn::{name}": value}


_CloudFormation.add_multi_constructor("!", _function)
_TEMPLATE: dict[str, Any] = _CloudFormation(_TEXT).get_single_data()
_RESOURCES: dict[str, Any] = _TEMPLATE["Resources"]
_GLOBALS: dict[str, Any] = _TEMPLATE["Globals"]["Function"]
_VARIABLES: dict[str, Any] = _GLOBALS["Environment"]["Variables"]
_FUNCTIONS: dict[str, Any] = {
    name: resource["Properties"]
    for name, resource in _RESOURCES.items()
    if resource["Type"] == "AWS::Serverless::Function"
}


def _routes() -> dict[str, str]:
    return {
        f"{event['Properties']['Method']} {event['Properties']['Path']}": name
        for name, function in _FUNCTIONS.items()
        for event in function.get("Events", {}).values()
        if event["Type"] == "HttpApi"
    }


def test_every_route_of_the_contract_reaches_its_function() -> None:
    """The API has these four routes and no other."""
    assert _routes() == {
        "POST /api/webhooks/clerk": "WebhookFunction",
        "POST /api/users/sync": "SelfSyncFunction",
        "POST /api/user/sync": "SelfSyncFunction",
        "GET /api/users/me": "SelfSyncFunction",
    }


def test_every_sample_request_has_a_route() -> None:
    """What the sample HTTP events ask for is deployed."""
    events = [json.loads(p.read_text("utf-8")) for p in _ROOT.glob("events/*.json")]
    asked = {event["routeKey"] for event in events if "routeKey" in event}
    assert asked == set(_routes())


@pytest.mark.parametrize("name", _FUNCTIONS)
def test_function_is_a_handler_on_the_layer(name: str) -> None:
    """A function is a folder with `app.handler`, and the layer is all it adds."""
    function = _FUNCTIONS[name]
    source = (_ROOT / function["CodeUri"] / "app.py").read_text("utf-8")
    assert _GLOBALS["Handler"] == "app.handler"
    assert re.search(r"^(def handler\(|handler = )", source, re.MULTILINE)
    assert _GLOBALS["Layers"] == [{"Ref": "ClerksyncLayer"}]
    assert not {"Layers", "Handler", "Runtime", "Environment"} & function.keys()


def test_layer_is_built_for_what_the_functions_run_on() -> None:
    """Layer and functions agree on the runtime and the architecture."""
    layer = _RESOURCES["ClerksyncLayer"]
    architecture = {"Ref": "Architecture"}
    assert layer["Properties"]["ContentUri"] == "layers/clerksync"
    assert layer["Metadata"]["BuildMethod"] == _GLOBALS["Runtime"] == "python3.13"
    assert layer["Metadata"]["BuildArchitecture"] == architecture
    assert _GLOBALS["Architectures"] == [architecture]


def test_webhook_answers_before_its_sender_gives_up() -> None:
    """Svix counts a delivery as failed after 15 seconds."""
    assert _FUNCTIONS["WebhookFunction"]["Timeout"] < 15


def test_environment_is_what_settings_read() -> None:
    """Every setting is declared, for `sam local`, and nothing that no one reads."""
    source = (_ROOT / "layers/clerksync/clerksync/settings.py").read_text("utf-8")
    assert set(_VARIABLES) == set(re.findall(r'"((?:CLERK|DATABASE)[A-Z_]+)"', source))


@pytest.mark.parametrize("name", ["DATABASE_URL", "CLERK_SECRET_KEY"])
def test_empty_variable_leaves_its_setting_to_the_secret(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that is declared and empty counts as unset."""
    for variable in _VARIABLES:
        monkeypatch.setenv(variable, "")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("CLERKSYNC_SECRET_ID", "clerksync")
    with mock_aws():
        boto3.client("secretsmanager").create_secret(
            Name="clerksync", SecretString=json.dumps({name: "from the secret"})
        )
        assert getattr(Settings(), name.lower()) == "from the secret"


def test_no_secret_is_in_the_environment() -> None:
    """A variable is empty, or a parameter that anyone may read."""
    references = {n: value for n, value in _VARIABLES.items() if value != ""}
    assert [n for n, value in references.items() if list(value) != ["Ref"]] == []
    secrets = re.compile("SECRET_KEY|SIGNING|WEBHOOK|JWT|DATABASE_URL")
    assert not [name for name in references if secrets.search(name)]
    assert "{{resolve:" not in _TEXT
    assert "NoEcho" not in _TEXT


def test_parameter_that_is_left_alone_overrides_nothing() -> None:
    """The environment wins over the secret: so a setting's parameter begins empty."""
    parameters = {
        value["Ref"] for value in _VARIABLES.values() if isinstance(value, dict)
    }
    defaults = {n: _TEMPLATE["Parameters"][n]["Default"] for n in parameters}
    assert defaults.pop("SecretId")
    assert set(defaults.values()) == {""}


def test_outputs_show_no_secret() -> None:
    """Outputs hold addresses and names."""
    outputs = json.dumps(_TEMPLATE["Outputs"])
    names = re.findall(r'\$\{([^}]+)\}|"Ref": "([^"]+)"', outputs)
    shown = {substituted or referred for substituted, referred in names}
    assert shown == {
        "HttpApi.ApiEndpoint",
        "BulkSyncFunction",
        "FailureQueue",
        "SecretId",
    }
    assert "GetAtt" not in outputs


def test_functions_may_read_one_secret_and_nothing_else() -> None:
    """No function has a permission of its own beside the one secret."""
    assert {json.dumps(f["Policies"]) for f in _FUNCTIONS.values()} == {
        '[{"Ref": "SecretPolicy"}]'
    }
    document = _RESOURCES["SecretPolicy"]["Properties"]["PolicyDocument"]
    [statement] = document["Statement"]
    assert statement["Action"] == "secretsmanager:GetSecretValue"
    name = "clerksync/prod"
    arn = f"arn:aws:secretsmanager:eu-west-1:210987654321:secret:{name}-a1B2c3"
    own = f"arn:aws:secretsmanager:eu-south-2:123456789012:secret:{name}-??????"
    assert _text(statement["Resource"], SecretId=name) == own
    assert _text(statement["Resource"], SecretId=arn) == arn


def _text(value: Any, **parameters: str) -> Any:
    """What CloudFormation makes of a text put together by functions."""
    names = {
        "AWS::Partition": "aws",
        "AWS::Region": "eu-south-2",
        "AWS::AccountId": "123456789012",
        **parameters,
    }
    match value:
        case {"Ref": name}:
            return names[name]
        case {"Fn::Sub": text}:
            return re.sub(r"\$\{([^}]+)\}", lambda found: names[found[1]], text)
        case {"Fn::Split": [separator, text]}:
            return _text(text, **parameters).split(separator)
        case {"Fn::Select": [index, choices]}:
            return _text(choices, **parameters)[int(index)]
        case {"Fn::Join": [separator, parts]}:
            return separator.join(_text(part, **parameters) for part in parts)
    return value


def test_schema_is_up_before_code_that_needs_it() -> None:
    """Functions are made and changed after the migration, and routes after them."""
    for name in _FUNCTIONS.keys() - {"MigrateFunction"}:
        assert _RESOURCES[name]["DependsOn"] == "Migration"


def test_migration_is_called_again_when_what_it_does_changes() -> None:
    """By a new layer, another database or another schema."""
    migration = _RESOURCES["Migration"]
    token = {"Fn::GetAtt": "MigrateFunction.Arn"}
    assert migration["Type"] == "Custom::Migration"
    properties = dict(migration["Properties"])
    assert properties.pop("ServiceToken") == token
    lasts = _FUNCTIONS["MigrateFunction"]["Timeout"]
    assert properties.pop("ServiceTimeout") > lasts
    assert properties == {
        "Layer": {"Ref": "ClerksyncLayer"},
        "SecretId": {"Ref": "SecretId"},
        "Schema": {"Ref": "Schema"},
    }


def test_failed_run_is_kept_and_not_repeated() -> None:
    """What a schedule started lands in a queue; its next run is the retry."""
    config = _FUNCTIONS["BulkSyncFunction"]["EventInvokeConfig"]
    assert config["MaximumRetryAttempts"] == 0
    assert config["DestinationConfig"]["OnFailure"] == {
        "Type": "SQS",
        "Destination": {"Fn::GetAtt": "FailureQueue.Arn"},
    }


@pytest.mark.parametrize("name", _FUNCTIONS)
def test_logs_of_a_function_end(name: str) -> None:
    """Every function logs into a group that forgets."""
    group = _FUNCTIONS[name]["LoggingConfig"]["LogGroup"]["Ref"]
    assert _RESOURCES[group]["Type"] == "AWS::Logs::LogGroup"
    retention = _RESOURCES[group]["Properties"]["RetentionInDays"]
    assert retention == {"Ref": "LogRetentionDays"}


def test_bulk_sync_runs_by_the_schedule_that_is_asked_for() -> None:
    """Schedule and time zone are parameters, and two stacks do not share a name."""
    [schedule] = _FUNCTIONS["BulkSyncFunction"]["Events"].values()
    properties = schedule["Properties"]
    assert schedule["Type"] == "ScheduleV2"
    assert properties["ScheduleExpression"] == {"Ref": "SyncSchedule"}
    assert properties["ScheduleExpressionTimezone"] == {"Ref": "SyncTimeZone"}
    assert properties["OmitName"] is True


def test_sample_of_local_variables_names_declared_ones() -> None:
    """`sam local` drops what the template does not declare, without a word."""
    sample = json.loads((_ROOT / "events/env.json").read_text("utf-8"))
    assert set(sample) == {"Parameters"}
    assert set(sample["Parameters"]) <= set(_VARIABLES)
    assert sample["Parameters"]["CLERKSYNC_SECRET_ID"] == ""


def test_samconfig_overrides_parameters_that_exist() -> None:
    """Each environment of samconfig.toml has a stack and a secret of its own."""
    config = tomllib.loads((_ROOT / "samconfig.toml").read_text("utf-8"))
    environments = [table for table in config.values() if isinstance(table, dict)]
    overrides = [
        dict(pair.split("=", 1) for pair in text.split())
        for environment in environments
        if (text := environment["deploy"]["parameters"].get("parameter_overrides"))
    ]
    assert {name for given in overrides for name in given} <= set(
        _TEMPLATE["Parameters"]
    )
    assert len({given["SecretId"] for given in overrides}) == len(overrides) == 2
    stacks = {e["global"]["parameters"]["stack_name"] for e in environments}
    assert stacks == {"clerksync", "clerksync-staging", "clerksync-prod"}
