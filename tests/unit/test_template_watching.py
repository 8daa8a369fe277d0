"""Logs, metrics and alarms of the stack."""

import json
import re
from itertools import accumulate
from uuid import UUID

import pytest

from clerksync.bulk.report import Report
from tests.template import FUNCTIONS, RESOURCES, ROOT, TEMPLATE

# Seconds after the try before, https://docs.svix.com/retries.
_TRIES = (0, 5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 10 * 3600)


def test_failed_run_is_kept_and_not_repeated() -> None:
    """What a schedule started lands in a queue; its next run is the retry."""
    config = FUNCTIONS["BulkSyncFunction"]["EventInvokeConfig"]
    assert config["MaximumRetryAttempts"] == 0
    assert config["DestinationConfig"]["OnFailure"] == {
        "Type": "SQS",
        "Destination": {"Fn::GetAtt": "FailureQueue.Arn"},
    }


@pytest.mark.parametrize("name", FUNCTIONS)
def test_logs_of_a_function_end(name: str) -> None:
    """Every function logs into a group that forgets."""
    group = FUNCTIONS[name]["LoggingConfig"]["LogGroup"]["Ref"]
    assert RESOURCES[group]["Type"] == "AWS::Logs::LogGroup"
    retention = RESOURCES[group]["Properties"]["RetentionInDays"]
    assert retention == {"Ref": "LogRetentionDays"}


def _emitted() -> set[str]:
    """The names of metrics that the code counts, as far as they can be read there."""
    sources = [*ROOT.glob("layers/clerksync/clerksync/**/*.py")]
    sources += ROOT.glob("functions/*/app.py")
    text = "".join(path.read_text("utf-8") for path in sources)
    names = set(re.findall(r'count(?:_milliseconds)?\(\s*"(\w+)"', text))
    doors = re.findall(r'counted_as="(\w+)"', text)
    ends = ["Failed", *re.findall(r'"(Rejected\w+)"', text)]
    ends += ["Created", "Updated", "Unchanged", "Skipped", "Deleted", "Ignored"]
    names |= {door + end for door in doors for end in ends}
    report = Report(run_id=UUID(int=0), mode="full").as_json()
    numbers = [name for name, value in report.items() if type(value) is int]
    for name in numbers:
        names.add(f"BulkSync{name.removesuffix('_ms').title().replace('_', '')}")
    statuses = ("completed", "partial", "refused", "failed")
    return names | {f"BulkSyncRun{status.title()}" for status in statuses}


def test_alarms_and_dashboard_look_at_metrics_that_exist() -> None:
    """An alarm on a misspelt metric would never say anything."""
    alarms = [
        resource["Properties"]
        for resource in RESOURCES.values()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    ]
    watched = {a["MetricName"] for a in alarms if a["Namespace"] == "clerksync"}
    assert len(watched) >= 4
    body = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    widgets = json.loads(body)["widgets"]
    lines = [line for w in widgets for line in w["properties"]["metrics"]]
    shown = {line[1] for line in lines if line[0] in {"clerksync", "."}}
    assert watched | shown - {"Throttles"} <= _emitted()


@pytest.mark.parametrize("name", ["WebhookFailuresAlarm", "WebhookSignaturesAlarm"])
def test_one_webhook_that_keeps_failing_raises_an_alarm(name: str) -> None:
    """Where few users come, the endpoint may be dead for days with a delivery a day."""
    alarm = RESOURCES[name]["Properties"]
    assert (alarm["Statistic"], alarm["EvaluationPeriods"]) == ("Sum", 1)
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    failures = sum(at < alarm["Period"] for at in accumulate(_TRIES))
    assert alarm["Threshold"] == {"Ref": "WebhookFailures"}
    assert TEMPLATE["Parameters"]["WebhookFailures"]["Default"] < failures


def test_what_a_day_of_small_runs_puts_right_raises_an_alarm() -> None:
    """With an incremental run every quarter of an hour, none finds much by itself."""
    alarm = RESOURCES["DriftAlarm"]["Properties"]
    assert (alarm["Statistic"], alarm["Period"]) == ("Sum", 24 * 3600)
    assert alarm["EvaluationPeriods"] == 1
    assert alarm["Threshold"] == {"Ref": "DriftThreshold"}


def test_every_alarm_is_explained_and_tells_somebody() -> None:
    """docs/operations.md has a section for each, by its name."""
    manual = (ROOT / "docs/operations.md").read_text("utf-8")
    for name, resource in RESOURCES.items():
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            assert resource["Properties"]["AlarmActions"] == [{"Ref": "AlarmTopic"}]
            assert f"## {name}\n" in manual
