"""Who of the stack knows a secret, and who may read one."""

import json
import re
from typing import Any

import boto3
import pytest
from moto import mock_aws

from clerksync.settings.environment import Settings
from tests.template import (
    FUNCTIONS,
    GLOBALS,
    RESOURCES,
    SECRET,
    TEMPLATE,
    TEXT,
    VARIABLES,
)


@pytest.mark.parametrize("name", ["DATABASE_URL", "CLERK_SECRET_KEY"])
def test_empty_variable_leaves_its_setting_to_the_secret(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that is declared and empty counts as unset."""
    for variable in VARIABLES:
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
    references = {n: value for n, value in VARIABLES.items() if value != ""}
    assert references.pop("CLERKSYNC_SECRET_ID") == SECRET
    assert [n for n, value in references.items() if list(value) != ["Ref"]] == []
    secrets = re.compile("SECRET_KEY|SIGNING|WEBHOOK|JWT|DATABASE_URL")
    assert not [name for name in references if secrets.search(name)]
    assert "{{resolve:" not in TEXT


def test_secret_values_reach_the_stacks_own_secret_and_nothing_else() -> None:
    """A parameter that is not shown fills the secret that the stack makes."""
    hidden = {n for n, p in TEMPLATE["Parameters"].items() if p.get("NoEcho")}
    assert hidden == {"DatabaseUrl", "ClerkSecretKey", "ClerkWebhookSigningSecret"}
    secret = RESOURCES["Secret"]
    assert secret["Condition"] == "MakesSecret"
    text = secret["Properties"]["SecretString"]["Fn::Sub"]
    filled = json.loads(re.sub(r"\$\{(\w+)\}", r"\1", text))
    assert filled == {
        "DATABASE_URL": "DatabaseUrl",
        "CLERK_SECRET_KEY": "ClerkSecretKey",
        "CLERK_WEBHOOK_SIGNING_SECRET": "ClerkWebhookSigningSecret",
    }
    elsewhere = RESOURCES | {"Secret": None, "Globals": GLOBALS}
    elsewhere["Outputs"] = TEMPLATE["Outputs"]
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
        ("SecretKeyArns", "arn:aws:kms:eu-west-1:123456789012:key/mrk-1a2b", True),
        ("SecretKeyArns", "arn:aws:kms:eu-west-1:123456789012:alias/mine", False),
        ("ReservedConcurrency", "0", False),
        ("ReservedConcurrency", "20", True),
    ],
)
def test_a_parameter_is_checked_before_anything_is_deployed(
    name: str, value: str, *, is_taken: bool
) -> None:
    """A quote in a value would break the JSON of the secret."""
    pattern = TEMPLATE["Parameters"][name]["AllowedPattern"]
    assert (re.fullmatch(pattern, value) is not None) == is_taken


def test_parameter_that_is_left_alone_overrides_nothing() -> None:
    """The environment wins over the secret: so a setting's parameter begins empty."""
    parameters = {
        value["Ref"]
        for value in VARIABLES.values()
        if isinstance(value, dict) and "Ref" in value
    } - {"AWS::StackName"}
    defaults = {n: TEMPLATE["Parameters"][n]["Default"] for n in parameters}
    assert set(defaults.values()) == {""}


def test_outputs_show_no_secret() -> None:
    """Outputs hold addresses and names."""
    outputs = json.dumps(TEMPLATE["Outputs"])
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
    assert {json.dumps(f["Policies"]) for f in FUNCTIONS.values()} == {
        '[{"Ref": "SecretPolicy"}]'
    }
    document = RESOURCES["SecretPolicy"]["Properties"]["PolicyDocument"]
    no_group, no_other, no_interfaces, statement, *optional = document["Statement"]
    assert (no_group["Effect"], no_group["Action"]) == ("Deny", "logs:CreateLogGroup")
    assert {no_other["Effect"], no_interfaces["Effect"]} == {"Deny"}
    assert [choice["Fn::If"][0] for choice in optional] == [
        "HasDatabaseSecret",
        "HasSecretKeys",
        "HasDatabaseIamUser",
    ]
    assert [choice["Fn::If"][1]["Action"] for choice in optional] == [
        "secretsmanager:GetSecretValue",
        "kms:Decrypt",
        "rds-db:connect",
    ]
    assert statement["Action"] == "secretsmanager:GetSecretValue"
    condition, made, resource = statement["Resource"]["Fn::If"]
    assert (condition, made) == ("MakesSecret", {"Fn::GetAtt": "Secret.Id"})
    name = "clerksync/prod"
    arn = f"arn:aws:secretsmanager:eu-west-1:210987654321:secret:{name}-a1B2c3"
    own = f"arn:aws:secretsmanager:eu-south-2:123456789012:secret:{name}-??????"
    assert _text(resource, SecretId=name) == own
    assert _text(resource, SecretId=arn) == arn


def test_keys_of_ones_own_decrypt_secrets_and_nothing_else() -> None:
    """Only those that are named, and only when Secrets Manager asks."""
    document = RESOURCES["SecretPolicy"]["Properties"]["PolicyDocument"]
    (statement,) = [
        choice["Fn::If"][1]
        for choice in document["Statement"]
        if choice.get("Fn::If", [""])[0] == "HasSecretKeys"
    ]
    assert statement["Resource"] == {"Ref": "SecretKeyArns"}
    via = statement["Condition"]["StringEquals"]["kms:ViaService"]
    names = {"AWS::URLSuffix": "amazonaws.com"}
    assert _text(via, **names) == "secretsmanager.eu-south-2.amazonaws.com"


def test_functions_log_into_the_groups_of_their_stack_and_no_other() -> None:
    """A group has two ARNs: its own, and that of its streams."""
    document = RESOURCES["SecretPolicy"]["Properties"]["PolicyDocument"]
    (denied,) = [s for s in document["Statement"] if "NotResource" in s]
    assert denied["Effect"] == "Deny"
    # AWSLambdaBasicExecutionRole, but for the group itself, which is denied everywhere.
    assert denied["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    groups = {f["LoggingConfig"]["LogGroup"]["Ref"] for f in FUNCTIONS.values()}
    names = {
        group: _text(
            RESOURCES[group]["Properties"]["LogGroupName"],
            **{"AWS::StackName": "clerksync"},
        )
        for group in groups
    }
    of_account = "arn:aws:logs:eu-south-2:123456789012:log-group:"
    left = {_text(arn, **names) for arn in denied["NotResource"]}
    arns = {f"{of_account}{name}" for name in names.values()}
    assert left == arns | {f"{arn}:*" for arn in arns}
    assert f"{of_account}/aws/lambda/clerksync-webhook:*" in left


def test_code_has_no_say_about_network_interfaces() -> None:
    """What SAM lets the role do in a VPC is for Lambda itself, which asks without a
    source function."""
    document = RESOURCES["SecretPolicy"]["Properties"]["PolicyDocument"]
    (denied,) = [s for s in document["Statement"] if "ec2:" in json.dumps(s)]
    # AWSLambdaVPCAccessExecutionRole, but for the three of logs.
    assert set(denied["Action"]) == {
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:UnassignPrivateIpAddresses",
    }
    assert denied["Effect"] == "Deny"
    assert denied["Resource"] == "*"
    assert denied["Condition"] == {"Null": {"lambda:SourceFunctionArn": "false"}}


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
