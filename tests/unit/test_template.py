"""What the SAM template promises: routes, functions, schedules, migration."""

import json
import re
import tomllib

import pytest

from clerksync.bulk.request import BulkSyncRequest
from tests.template import (
    FUNCTIONS,
    GLOBALS,
    RESOURCES,
    ROOT,
    SECRET,
    TEMPLATE,
    VARIABLES,
)


def _routes() -> dict[str, str]:
    return {
        f"{event['Properties']['Method']} {event['Properties']['Path']}": name
        for name, function in FUNCTIONS.items()
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
    events = [json.loads(p.read_text("utf-8")) for p in ROOT.glob("events/*.json")]
    asked = {event["routeKey"] for event in events if "routeKey" in event}
    assert asked == set(_routes())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_is_a_handler_on_the_layer(name: str) -> None:
    """A function is a folder with `app.handler`, and the layer is all it adds."""
    function = FUNCTIONS[name]
    source = (ROOT / function["CodeUri"] / "app.py").read_text("utf-8")
    assert GLOBALS["Handler"] == "app.handler"
    assert re.search(r"^(def handler\(|handler = )", source, re.MULTILINE)
    assert GLOBALS["Layers"] == [{"Ref": "ClerksyncLayer"}]
    assert not {"Layers", "Handler", "Runtime", "Environment"} & function.keys()


def test_layer_is_built_for_what_the_functions_run_on() -> None:
    """Layer and functions agree on the runtime and the architecture."""
    layer = RESOURCES["ClerksyncLayer"]
    architecture = {"Ref": "Architecture"}
    assert layer["Properties"]["ContentUri"] == "layers/clerksync"
    assert layer["Metadata"]["BuildMethod"] == GLOBALS["Runtime"] == "python3.13"
    assert layer["Metadata"]["BuildArchitecture"] == architecture
    assert GLOBALS["Architectures"] == [architecture]


def test_webhook_answers_before_its_sender_gives_up() -> None:
    """Svix counts a delivery as failed after 15 seconds."""
    assert FUNCTIONS["WebhookFunction"]["Timeout"] < 15


def test_environment_is_what_settings_read() -> None:
    """Every setting is declared, for `sam local`, and nothing that no one reads."""
    source = (ROOT / "layers/clerksync/clerksync/settings/environment.py").read_text(
        "utf-8"
    )
    read = set(re.findall(r'"((?:CLERK|DATABASE)[A-Z_]+)"', source))
    assert set(VARIABLES) == read | {"POWERTOOLS_SERVICE_NAME"}


def test_schema_is_up_before_code_that_needs_it() -> None:
    """Functions are made and changed after the migration, and routes after them."""
    for name in FUNCTIONS.keys() - {"MigrateFunction"}:
        assert RESOURCES[name]["DependsOn"] == "Migration"


def test_migration_is_called_again_when_what_it_does_changes() -> None:
    """By a new layer, another database, another schema or another default tier."""
    migration = RESOURCES["Migration"]
    token = {"Fn::GetAtt": "MigrateFunction.Arn"}
    assert migration["Type"] == "Custom::Migration"
    properties = dict(migration["Properties"])
    assert properties.pop("ServiceToken") == token
    lasts = FUNCTIONS["MigrateFunction"]["Timeout"]
    assert properties.pop("ServiceTimeout") > lasts
    assert properties == {
        "Layer": {"Ref": "ClerksyncLayer"},
        "SecretId": SECRET,
        "DatabaseSecretId": {"Ref": "DatabaseSecretId"},
        "Schema": {"Ref": "Schema"},
        "Mapping": {"Ref": "Mapping"},
        "DefaultTier": {"Ref": "DefaultTier"},
        "MigrateAgain": {"Ref": "MigrateAgain"},
    }


@pytest.mark.parametrize("name", ["Migration", "FunctionSettings"])
def test_no_stack_stays_behind_because_a_function_cannot_answer(name: str) -> None:
    """Deleting what the migrate function answers for is left out: it has nothing to do,
    and without a way out to CloudFormation it could not say so."""
    assert RESOURCES[name]["DeletionPolicy"] == "Retain"
    assert RESOURCES[name]["UpdateReplacePolicy"] == "Retain"


def test_whatever_changes_a_function_publishes_a_version() -> None:
    """SAM sees to code and text, the digest to parameters and the layer. It is in the
    function too: Lambda publishes none of a function that did not change."""
    settings = RESOURCES["FunctionSettings"]
    properties = dict(settings["Properties"])
    assert settings["Type"] == "Custom::Digest"
    assert properties.pop("ServiceToken") == {"Fn::GetAtt": "MigrateFunction.Arn"}
    assert properties.pop("ServiceTimeout") > FUNCTIONS["MigrateFunction"]["Timeout"]
    assert properties.pop("Functions") == GLOBALS
    assert properties == {
        "SnapStart": {"Ref": "SnapStart"},
        "MigrateAgain": {"Ref": "MigrateAgain"},
    }
    for name in ("WebhookFunction", "SelfSyncFunction"):
        function = FUNCTIONS[name]
        assert function["AutoPublishAlias"] == "live"
        assert function["AutoPublishAliasAllProperties"] is True
        assert function["VersionDescription"] == {
            "Fn::GetAtt": "FunctionSettings.Digest"
        }
        assert "${FunctionSettings.Digest}" in function["Description"]["Fn::Sub"]


def test_snapstart_is_asked_for_and_leaves_no_snapshot_behind() -> None:
    """It bills for each version that is kept. The functions that nobody waits for go
    without."""
    assert TEMPLATE["Parameters"]["SnapStart"]["Default"] == "None"
    with_versions = {n for n, f in FUNCTIONS.items() if "AutoPublishAlias" in f}
    assert with_versions == {"WebhookFunction", "SelfSyncFunction"}
    for name, function in FUNCTIONS.items():
        applied = {"ApplyOn": {"Ref": "SnapStart"}} if name in with_versions else None
        assert function.get("SnapStart") == applied
    for name in with_versions:
        assert RESOURCES[name]["DeletionPolicy"] == "Delete"
        assert RESOURCES[name]["UpdateReplacePolicy"] == "Delete"


def test_bulk_sync_runs_by_the_schedule_that_is_asked_for() -> None:
    """Schedule and time zone are parameters, and two stacks do not share a name."""
    events = FUNCTIONS["BulkSyncFunction"]["Events"]
    properties = events["Nightly"]["Properties"]
    assert {event["Type"] for event in events.values()} == {"ScheduleV2"}
    assert properties["State"]["Fn::If"][-1] == {"Ref": "SyncScheduleState"}
    assert properties["ScheduleExpression"] == {"Ref": "SyncSchedule"}
    assert properties["ScheduleExpressionTimezone"] == {"Ref": "SyncTimeZone"}
    assert properties["OmitName"] is True


def test_incremental_runs_happen_only_when_they_are_asked_for() -> None:
    """By a schedule of their own, and one that fails lands in the queue too."""
    incremental = FUNCTIONS["BulkSyncFunction"]["Events"]["Incremental"]["Properties"]
    assert incremental["State"] == {
        "Fn::If": ["HasIncrementalSchedule", "ENABLED", "DISABLED"]
    }
    request = BulkSyncRequest.from_event(json.loads(incremental["Input"]))
    assert (request.mode, request.unattended) == ("incremental", True)


def test_sample_of_local_variables_names_declared_ones() -> None:
    """`sam local` drops what the template does not declare, without a word."""
    sample = json.loads((ROOT / "events/env.json").read_text("utf-8"))
    assert set(sample) == {"Parameters"}
    assert set(sample["Parameters"]) <= set(VARIABLES)
    assert sample["Parameters"]["CLERKSYNC_SECRET_ID"] == ""


def test_samconfig_overrides_parameters_that_exist() -> None:
    """Each environment of samconfig.toml has a stack and a secret of its own."""
    config = tomllib.loads((ROOT / "samconfig.toml").read_text("utf-8"))
    environments = [table for table in config.values() if isinstance(table, dict)]
    overrides = [
        dict(pair.split("=", 1) for pair in text.split())
        for environment in environments
        if (text := environment["deploy"]["parameters"].get("parameter_overrides"))
    ]
    assert {name for given in overrides for name in given} <= set(
        TEMPLATE["Parameters"]
    )
    assert len({given["SecretId"] for given in overrides}) == len(overrides) == 2
    stacks = {e["global"]["parameters"]["stack_name"] for e in environments}
    assert stacks == {"clerksync", "clerksync-staging", "clerksync-prod"}
