"""The function in Lambda: its time, the run that it starts next, its metrics."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from clerksync.clerk.rate_limit import RateLimiter
from functions.bulk_sync import app
from local.stub_clerk.faults import Fault
from local.stub_clerk.stub import StubClerk
from tests.clock import RunClock
from tests.doors import ask_this_clerk, log_lines
from tests.integration.bulk.parallel.walks import from_page, late_from
from tests.people import shown

TOO_MANY = "too many runs in a row, the rest is for the schedule's next"
ARN = "arn:aws:lambda:eu-central-1:123456789012:function:bulk-sync:live"


class Context:
    """What Lambda hands over besides the event, as far as the function looks at it."""

    invoked_function_arn = ARN

    def __init__(self, seconds: float = 60) -> None:
        self._seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return round(self._seconds * 1000)


class JsonText:
    """Equals any text that says the same."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str | bytes) and json.loads(other) == self._value

    def __hash__(self) -> int:
        return 0


@pytest.fixture
def clerk(
    stub: StubClerk, environment: pytest.MonkeyPatch, clock: RunClock
) -> Iterator[StubClerk]:
    """The function as deployed, for an instance with sixty pages of users."""
    ask_this_clerk(environment, stub)
    environment.setattr(app.clerk, "rate_limiter", RateLimiter())
    environment.setattr(app, "time", SimpleNamespace(monotonic=clock.now))
    yield stub
    app.database.close()


@pytest.fixture
def invoked(environment: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """The client of Lambda's API: takes the calls that a test expects, and no other."""
    environment.setenv("AWS_ACCESS_KEY_ID", "testing")
    environment.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    client = boto3.client("lambda", region_name="eu-central-1")

    def made(service: str, *, config: Config) -> Any:
        assert service == "lambda"
        assert config.connect_timeout + config.read_timeout < 10, "time is short"
        return client

    environment.setattr("boto3.client", made)
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def expect(invoked: Stubber, payload: dict[str, Any]) -> None:
    call = {
        "FunctionName": ARN,
        "InvocationType": "Event",
        "Payload": JsonText(
            {"dry_run": False, "force": False, "unattended": True} | payload
        ),
    }
    invoked.add_response("invoke", {"StatusCode": 202}, call)


def run_out_of_time(
    clerk: StubClerk, clock: RunClock, event: dict[str, Any], *, page: int = 20
) -> dict[str, Any]:
    """A run of the function that has time for so many pages."""
    clerk.interfere = late_from("order_by", page, clock)
    report = app.handler(event, Context())
    clerk.interfere = None
    assert (report["status"], report["out_of_time"]) == ("partial", True)
    return report


@pytest.mark.parametrize(
    ("lasts", "passes", "in_time"),
    [(60, 38, True), (60, 41, False), (10, 4, True), (10, 6, False)],
)
def test_a_run_ends_twenty_seconds_or_half_its_time_before_lambdas(
    *,
    clerk: StubClerk,
    invoked: Stubber,
    clock: RunClock,
    lasts: int,
    passes: int,
    in_time: bool,
) -> None:
    """Enough to write what is on its way, and to record the rest."""
    clerk.interfere = late_from("order_by", 30, clock, by=passes)
    if not in_time:
        expect(invoked, {"mode": "full", "continuation": 1})
    report = app.handler({}, Context(lasts))
    assert report["status"] == ("completed" if in_time else "partial")
    assert report["out_of_time"] is not in_time


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        ({}, {"mode": "full"}),
        ({"mode": "cleanup", "force": True}, {"mode": "cleanup", "force": True}),
        ({"mode": "incremental"}, {"mode": "incremental"}),
    ],
    ids=["default", "forced cleanup", "incremental"],
)
def test_a_run_out_of_time_starts_the_next_one_with_the_same_event(
    *,
    clerk: StubClerk,
    invoked: Stubber,
    clock: RunClock,
    event: dict[str, Any],
    payload: dict[str, Any],
) -> None:
    """Asynchronously, counted on, and what that one is handed completes the walk."""
    expect(invoked, payload | {"continuation": 1})
    first = run_out_of_time(clerk, clock, event)
    report = app.handler(payload | {"continuation": 1}, Context())
    assert (report["status"], report["continues"]) == ("completed", first["run_id"])


def test_a_chain_ends_after_as_many_runs_as_the_setting_allows(
    clerk: StubClerk,
    invoked: Stubber,
    clock: RunClock,
    environment: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The rest is for the next run of the schedule, which goes on all the same."""
    environment.setenv("CLERKSYNC_MAX_CONTINUATIONS", "1")
    expect(invoked, {"mode": "full", "continuation": 1})
    run_out_of_time(clerk, clock, {})
    second = run_out_of_time(clerk, clock, {"continuation": 1})
    output = capsys.readouterr().out
    assert len(log_lines(output, TOO_MANY)) == 1
    assert metric(output, "BulkSyncNotContinued") == 1
    third = app.handler({}, Context())
    assert (third["status"], third["continues"]) == ("completed", second["continues"])


def test_a_next_run_that_cannot_be_started_changes_nothing_in_the_report(
    clerk: StubClerk,
    invoked: Stubber,
    clock: RunClock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is logged and counted: the role may not invoke the function."""
    invoked.add_client_error("invoke", "AccessDeniedException", "Noor may not.", 403)
    report = run_out_of_time(clerk, clock, {})
    output = capsys.readouterr().out
    (line,) = log_lines(output, "the next run could not be started")
    assert (line["error"], line["run_id"]) == ("ClientError", report["run_id"])
    assert metric(output, "BulkSyncNotContinued") == 1


@pytest.mark.usefixtures("invoked")
def test_only_lambda_starts_a_next_run_and_only_when_one_is_needed(
    clerk: StubClerk, clock: RunClock
) -> None:
    """Neither after an outage nor at the command line, which has no context."""
    clerk.interfere = from_page(30, lambda _: Fault(status=401))
    assert app.handler({}, Context())["status"] == "partial"
    clerk.interfere = None
    assert app.handler({}, Context())["status"] == "completed"
    clerk.interfere = late_from("order_by", 30, clock)
    assert app.handler({}, None)["status"] == "completed"


@pytest.mark.usefixtures("invoked")
def test_a_wrong_setting_is_found_before_the_run_and_not_after_it(
    clerk: StubClerk, clock: RunClock, environment: pytest.MonkeyPatch
) -> None:
    """Else a quarter of an hour's report is lost with it."""
    environment.setenv("CLERKSYNC_MAX_CONTINUATIONS", "many")
    clerk.interfere = late_from("order_by", 30, clock)
    with pytest.raises(app.BulkSyncFailedError, match="CLERKSYNC_MAX_CONTINUATIONS"):
        app.handler({}, Context())
    assert clerk.requests == 0


def metric(output: str, name: str) -> float:
    """The one value of a metric in CloudWatch's embedded format."""
    lines = [json.loads(line) for line in output.splitlines()]
    (value,) = [line[name] for line in lines if name in line]
    (number,) = value
    return float(number)


@pytest.mark.parametrize(
    "event", [{"mode": "incremental"}, {"mode": "cleanup"}, {"dry_run": True}]
)
@pytest.mark.usefixtures("clerk")
def test_only_a_full_run_quietens_the_alarm_of_the_night(
    event: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Others do not find what was missed, or do not mend it."""
    assert app.handler(event, None)["status"] == "completed"
    output = capsys.readouterr().out
    assert metric(output, "BulkSyncRunCompleted") == 1
    assert "BulkSyncFullRunCompleted" not in output


def test_what_an_incremental_run_puts_right_is_drift(
    clerk: StubClerk, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else it would hide from the full run of the night that no webhook comes."""
    app.handler({}, None)
    for clerk_id in sorted(shown(clerk))[:3]:
        clerk.update_user(clerk_id, first_name="Renamed")
    clerk.create_user(email="missed@example.com")
    capsys.readouterr()
    report = app.handler({"mode": "incremental"}, None)
    assert (report["created"], report["updated"]) == (1, 3)
    assert metric(capsys.readouterr().out, "BulkSyncDrift") == 4


@pytest.mark.parametrize(
    "event", [{"dry_run": True}, {"mode": "incremental", "dry_run": True}]
)
@pytest.mark.usefixtures("clerk")
def test_a_dry_run_puts_nothing_right(
    event: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """What it would do is in its report."""
    assert app.handler(event, None)["created"]
    assert "BulkSyncDrift" not in capsys.readouterr().out


def test_the_numbers_of_the_report_are_metrics(
    clerk: StubClerk, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each under a name of its own, times in milliseconds; how it ended, as a count."""
    report = app.handler({}, None)
    output = capsys.readouterr().out
    assert metric(output, "BulkSyncRunCompleted") == 1
    assert metric(output, "BulkSyncFullRunCompleted") == 1
    assert metric(output, "BulkSyncDrift") == report["created"]
    assert metric(output, "BulkSyncCreated") == len(shown(clerk))
    for name, value in {
        "Fetched": "fetched",
        "EmailConflicts": "email_conflicts",
        "OrphansFound": "orphans_found",
        "Requests": "requests",
        "Windows": "windows",
        "UsersPerSecond": "users_per_second",
        "Plan": "plan_ms",
        "Fetch": "fetch_ms",
        "Write": "write_ms",
        "Sweep": "sweep_ms",
        "Prove": "prove_ms",
        "Duration": "duration_ms",
    }.items():
        assert metric(output, f"BulkSync{name}") == report[value]
    (line,) = [text for text in output.splitlines() if "CloudWatchMetrics" in text]
    (described,) = json.loads(line)["_aws"]["CloudWatchMetrics"]
    units = {entry["Name"]: entry["Unit"] for entry in described["Metrics"]}
    assert units["BulkSyncDuration"] == "Milliseconds"
    assert units["BulkSyncFetched"] == "Count"
    (logged,) = log_lines(output, "bulk sync ended")
    assert logged["report"] == report


@pytest.mark.usefixtures("clerk")
def test_a_run_that_failed_is_told_from_users_who_could_not_be_written(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An alarm on one of them must not count the other."""
    environment.setenv("CLERK_SECRET_KEY", "sk_wrong")
    assert app.handler({}, None)["status"] == "failed"
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    assert max(len(line.get("BulkSyncFailed", [])) for line in lines) <= 1
