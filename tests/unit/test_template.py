"""What the SAM template promises: routes, settings, secrets, permissions."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any
from uuid import UUID

import boto3
import pytest
import yaml
from moto import mock_aws

from clerksync.bulk_run import BulkSyncRequest, Report
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
_SECRET = {"Fn::If": ["MakesSecret", {"Ref": "Secret"}, {"Ref": "SecretId"}]}
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
    read = set(re.findall(r'"((?:CLERK|DATABASE)[A-Z_]+)"', source))
    assert set(_VARIABLES) == read | {"POWERTOOLS_SERVICE_NAME"}


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
    assert references.pop("CLERKSYNC_SECRET_ID") == _SECRET
    assert [n for n, value in references.items() if list(value) != ["Ref"]] == []
    secrets = re.compile("SECRET_KEY|SIGNING|WEBHOOK|JWT|DATABASE_URL")
    assert not [name for name in references if secrets.search(name)]
    assert "{{resolve:" not in _TEXT


def test_secret_values_reach_the_stacks_own_secret_and_nothing_else() -> None:
    """A parameter that is not shown fills the secret that the stack makes."""
    hidden = {n for n, p in _TEMPLATE["Parameters"].items() if p.get("NoEcho")}
    assert hidden == {"DatabaseUrl", "ClerkSecretKey", "ClerkWebhookSigningSecret"}
    secret = _RESOURCES["Secret"]
    assert secret["Condition"] == "MakesSecret"
    text = secret["Properties"]["SecretString"]["Fn::Sub"]
    filled = json.loads(re.sub(r"\$\{(\w+)\}", r"\1", text))
    assert filled == {
        "DATABASE_URL": "DatabaseUrl",
        "CLERK_SECRET_KEY": "ClerkSecretKey",
        "CLERK_WEBHOOK_SIGNING_SECRET": "ClerkWebhookSigningSecret",
    }
    elsewhere = _RESOURCES | {"Secret": None, "Globals": _GLOBALS}
    elsewhere["Outputs"] = _TEMPLATE["Outputs"]
    for name in hidden:
        assert f'"{name}"' not in json.dumps(elsewhere)
        assert f"{{{name}}}" not in json.dumps(elsewhere)


@pytest.mark.parametrize(
    ("name", "value", "is_taken"),
    [
        ("DatabaseUrl", "postgresql://u:p%22@h/d?sslmode=require", True),
        ("DatabaseUrl", 'postgresql://u:p"@h/d', False),
        ("DatabaseUrl", "postgresql://u:p\\@h/d", False),
        ("DatabaseUrl", "mysql://u:p@h/d", False),
        ("ClerkSecretKey", "sk_live_abcDEF123", True),
        ("ClerkSecretKey", 'sk_live_a"', False),
        ("ClerkSecretKey", "pk_live_abc", False),
        ("ClerkWebhookSigningSecret", "whsec_abc+/= whsec_def", True),
        ("ClerkWebhookSigningSecret", "", True),
        ("SecretId", "clerksync/prod", True),
        ("SecretId", "clerk sync", False),
        ("DatabaseSecretId", "rds!db-1", False),
        (
            "DatabaseSecretId",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!db-1-a1B2c3",
            True,
        ),
        ("ReservedConcurrency", "0", False),
        ("ReservedConcurrency", "20", True),
    ],
)
def test_a_parameter_is_checked_before_anything_is_deployed(
    name: str, value: str, *, is_taken: bool
) -> None:
    """A quote in a value would break the JSON of the secret."""
    pattern = _TEMPLATE["Parameters"][name]["AllowedPattern"]
    assert (re.fullmatch(pattern, value) is not None) == is_taken


def test_parameter_that_is_left_alone_overrides_nothing() -> None:
    """The environment wins over the secret: so a setting's parameter begins empty."""
    parameters = {
        value["Ref"]
        for value in _VARIABLES.values()
        if isinstance(value, dict) and "Ref" in value
    } - {"AWS::StackName"}
    defaults = {n: _TEMPLATE["Parameters"][n]["Default"] for n in parameters}
    assert set(defaults.values()) == {""}


def test_outputs_show_no_secret() -> None:
    """Outputs hold addresses and names."""
    outputs = json.dumps(_TEMPLATE["Outputs"])
    names = re.findall(r'\$\{([^}]+)\}|"Ref": "([^"]+)"', outputs)
    shown = {substituted or referred for substituted, referred in names}
    assert shown == {
        "HttpApi.ApiEndpoint",
        "BulkSyncFunction",
        "BulkSyncStateMachine",
        "FailureQueue",
        "Secret",
        "SecretId",
        "AlarmTopic",
        "AWS::Region",
        "Dashboard",
    }
    assert "GetAtt" not in outputs


def test_functions_may_read_their_secrets_and_nothing_else() -> None:
    """One, and where they are asked for that of the database and its IAM user."""
    assert {json.dumps(f["Policies"]) for f in _FUNCTIONS.values()} == {
        '[{"Ref": "SecretPolicy"}]'
    }
    document = _RESOURCES["SecretPolicy"]["Properties"]["PolicyDocument"]
    statement, *optional = document["Statement"]
    assert [choice["Fn::If"][0] for choice in optional] == [
        "HasDatabaseSecret",
        "HasDatabaseIamUser",
    ]
    assert [choice["Fn::If"][1]["Action"] for choice in optional] == [
        "secretsmanager:GetSecretValue",
        "rds-db:connect",
    ]
    assert statement["Action"] == "secretsmanager:GetSecretValue"
    condition, made, resource = statement["Resource"]["Fn::If"]
    assert (condition, made) == ("MakesSecret", {"Ref": "Secret"})
    name = "clerksync/prod"
    arn = f"arn:aws:secretsmanager:eu-west-1:210987654321:secret:{name}-a1B2c3"
    own = f"arn:aws:secretsmanager:eu-south-2:123456789012:secret:{name}-??????"
    assert _text(resource, SecretId=name) == own
    assert _text(resource, SecretId=arn) == arn


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
        "SecretId": _SECRET,
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
    events = _FUNCTIONS["BulkSyncFunction"]["Events"]
    properties = events["Nightly"]["Properties"]
    assert {event["Type"] for event in events.values()} == {"ScheduleV2"}
    assert properties["State"]["Fn::If"][-1] == {"Ref": "SyncScheduleState"}
    assert properties["ScheduleExpression"] == {"Ref": "SyncSchedule"}
    assert properties["ScheduleExpressionTimezone"] == {"Ref": "SyncTimeZone"}
    assert properties["OmitName"] is True


def test_incremental_runs_happen_only_when_they_are_asked_for() -> None:
    """By a schedule of their own, and one that fails lands in the queue too."""
    incremental = _FUNCTIONS["BulkSyncFunction"]["Events"]["Incremental"]["Properties"]
    assert incremental["State"] == {
        "Fn::If": ["HasIncrementalSchedule", "ENABLED", "DISABLED"]
    }
    request = BulkSyncRequest.from_event(json.loads(incremental["Input"]))
    assert (request.mode, request.unattended) == ("incremental", True)


def _emitted() -> set[str]:
    """The names of metrics that the code counts, as far as they can be read there."""
    sources = [*_ROOT.glob("layers/clerksync/clerksync/*.py")]
    sources += _ROOT.glob("functions/*/app.py")
    text = "".join(path.read_text("utf-8") for path in sources)
    names = set(re.findall(r'count(?:_milliseconds)?\(\s*"(\w+)"', text))
    doors = re.findall(r'counted_as="(\w+)"', text)
    ends = ["Failed", *re.findall(r'"(Rejected\w+)"', text)]
    ends += ["Created", "Updated", "Unchanged", "Skipped", "Deleted", "Ignored"]
    names |= {door + end for door in doors for end in ends}
    report = Report(UUID(int=0), "full", dry_run=False).as_json()
    numbers = [name for name, value in report.items() if type(value) is int]
    for name in numbers:
        names.add(f"BulkSync{name.removesuffix('_ms').title().replace('_', '')}")
    statuses = ("completed", "partial", "refused", "failed")
    return names | {f"BulkSyncRun{status.title()}" for status in statuses}


def test_alarms_and_dashboard_look_at_metrics_that_exist() -> None:
    """An alarm on a misspelt metric would never say anything."""
    alarms = [
        resource["Properties"]
        for resource in _RESOURCES.values()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    ]
    watched = {a["MetricName"] for a in alarms if a["Namespace"] == "clerksync"}
    assert len(watched) >= 4
    body = _RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    widgets = json.loads(body)["widgets"]
    lines = [line for w in widgets for line in w["properties"]["metrics"]]
    shown = {line[1] for line in lines if line[0] in {"clerksync", "."}}
    assert watched | shown - {"Throttles"} <= _emitted()


def test_every_alarm_is_explained_and_tells_somebody() -> None:
    """docs/operations.md has a section for each, by its name."""
    manual = (_ROOT / "docs/operations.md").read_text("utf-8")
    for name, resource in _RESOURCES.items():
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            assert resource["Properties"]["AlarmActions"] == [{"Ref": "AlarmTopic"}]
            assert f"## {name}\n" in manual


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
