"""A stack of ours in the cloud: deployed by sam, asked through its API."""

import json
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import urllib3
from botocore.exceptions import BotoCoreError

from tests.e2e.cloud import ROOT, Cloud

BUILD: Final = ROOT / ".aws-sam" / "e2e"


class DeploymentFailedError(AssertionError):
    """With all that sam said."""


class Stack:
    def __init__(self, cloud: Cloud, name: str) -> None:
        self.cloud = cloud
        self.name = name
        self._http = urllib3.PoolManager(retries=False, timeout=60)
        self._host = ""

    def deploy(self, *, build: Path = BUILD, **parameters: str) -> None:
        """Deploy what was built. Raises DeploymentFailedError."""
        began = time.monotonic()
        done = self.cloud.sam(
            "deploy",
            f"--template-file={build / 'template.yaml'}",
            f"--stack-name={self.name}",
            "--resolve-s3",
            "--capabilities=CAPABILITY_IAM",
            "--no-confirm-changeset",
            "--no-progressbar",
            "--parameter-overrides",
            *(f'{name}="{value}"' for name, value in parameters.items()),
        )
        how = "failed" if done.returncode else "done"
        say(f"sam deploy {self.name}: {how} in {time.monotonic() - began:.0f} s")
        if done.returncode:
            raise DeploymentFailedError(done.stdout)

    def delete(self) -> None:
        """As `sam delete` does, which looks every 30 seconds whether it is done."""
        formation = self.cloud.client("cloudformation")
        formation.delete_stack(StackName=self.name)
        waiter = formation.get_waiter("stack_delete_complete")
        waiter.wait(StackName=self.name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})

    def exists(self) -> bool:
        stacks = self.cloud.client("cloudformation").list_stacks()["StackSummaries"]
        return any(
            stack["StackName"] == self.name
            and stack["StackStatus"] != "DELETE_COMPLETE"
            for stack in stacks
        )

    def output(self, name: str) -> str:
        """One of the template's outputs."""
        formation = self.cloud.client("cloudformation")
        (stack,) = formation.describe_stacks(StackName=self.name)["Stacks"]
        outputs = {o["OutputKey"]: o["OutputValue"] for o in stack["Outputs"]}
        return str(outputs[name])

    def route(self) -> None:
        """Make the routes that SAM wrote into the OpenAPI body of the API.

        CloudFormation does it; ministack makes the API and leaves its body aside.
        """
        formation = self.cloud.client("cloudformation")
        gateway = self.cloud.client("apigatewayv2")
        template = formation.get_template(
            StackName=self.name, TemplateStage="Processed"
        )["TemplateBody"]
        body = template["Resources"]["HttpApi"]["Properties"]["Body"]
        api = self._physical_id("HttpApi")
        for path, methods in body["paths"].items():
            for method, operation in methods.items():
                described = operation["x-amazon-apigateway-integration"]
                integration = gateway.create_integration(
                    ApiId=api,
                    IntegrationType=described["type"].upper(),
                    IntegrationUri=self._alias_arn(described["uri"]["Fn::Sub"]),
                    PayloadFormatVersion=described["payloadFormatVersion"],
                )
                gateway.create_route(
                    ApiId=api,
                    RouteKey=f"{method.upper()} {path}",
                    Target=f"integrations/{integration['IntegrationId']}",
                )
        self._host = urlsplit(self.output("WebhookUrl")).netloc

    def call(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Status and JSON of an answer of the API, whose host is told by name."""
        answer = self._http.request(
            method,
            f"http://127.0.0.1:{self.cloud.port}{path}",
            body=body,
            headers={"content-type": "application/json", **(headers or {})}
            | {"host": self._host},
        )
        return answer.status, answer.json()

    def run_bulk_sync(self, event: Mapping[str, Any]) -> None:
        """Invoke it asynchronously with what EventBridge hands it.

        So does a schedule on AWS; the one of ministack passes by what becomes of an
        invocation that failed.
        """
        answer = self.cloud.client("lambda").invoke(
            FunctionName=self.output("BulkSyncFunctionName"),
            InvocationType="Event",
            Payload=json.dumps(event),
        )
        assert answer["StatusCode"] == 202

    def stop_schedules(self) -> None:
        """Until the next deployment, so that nobody else runs."""
        scheduler = self.cloud.client("scheduler")
        for found in scheduler.list_schedules()["Schedules"]:
            if found["Name"].startswith(f"{self.name}-"):
                schedule = scheduler.get_schedule(
                    Name=found["Name"], GroupName=found["GroupName"]
                )
                kept = ("Name", "GroupName", "Target", "FlexibleTimeWindow")
                scheduler.update_schedule(
                    **{name: schedule[name] for name in kept},
                    ScheduleExpression=schedule["ScheduleExpression"],
                    State="DISABLED",
                )

    def versions(self) -> dict[str, int]:
        """Those that the API asks. No function has another one."""
        functions = self.cloud.client("lambda")
        live = {}
        for logical_id in ("WebhookFunction", "SelfSyncFunction"):
            name = self._physical_id(logical_id)
            alias = functions.get_alias(FunctionName=name, Name="live")
            found = functions.list_versions_by_function(FunctionName=name)["Versions"]
            published = {version["Version"] for version in found} - {"$LATEST"}
            assert published == {alias["FunctionVersion"]}
            live[logical_id] = int(alias["FunctionVersion"])
        return live

    def said(self) -> str:
        """All that may be read off it: outputs, events, logs, what functions are made
        with."""
        functions = self.cloud.client("lambda")
        formation = self.cloud.client("cloudformation")
        told = [
            formation.describe_stacks(StackName=self.name)["Stacks"],
            formation.describe_stack_events(StackName=self.name)["StackEvents"],
            functions.list_functions()["Functions"],
            self.logs(),
        ]
        return json.dumps(told, default=str)

    def failures(self) -> list[dict[str, Any]]:
        """The messages in the failure queue."""
        answer = self.cloud.client("sqs").receive_message(
            QueueUrl=self.output("FailureQueueUrl"), MaxNumberOfMessages=10
        )
        return [json.loads(message["Body"]) for message in answer.get("Messages", [])]

    def logs(self) -> str:
        """What its functions logged, as far as that can be told."""
        logs = self.cloud.client("logs")
        prefix = f"/aws/lambda/{self.name}-"
        lines = []
        try:
            found = logs.describe_log_groups(logGroupNamePrefix=prefix)["logGroups"]
            for name in (group["logGroupName"] for group in found):
                events = logs.filter_log_events(logGroupName=name)["events"]
                function = name.removeprefix(prefix)
                lines += [f"{function}: {event['message']}" for event in events]
        except BotoCoreError as error:
            lines.append(f"ministack does not answer: {error}")
        return "\n".join(lines)

    def _physical_id(self, logical_id: str) -> str:
        formation = self.cloud.client("cloudformation")
        resource = formation.describe_stack_resource(
            StackName=self.name, LogicalResourceId=logical_id
        )
        return str(resource["StackResourceDetail"]["PhysicalResourceId"])

    def _alias_arn(self, uri: str) -> str:
        found = re.search(r"functions/\$\{(\w+)\}/invocations", uri)
        assert found, uri
        return self._physical_id(found[1])


def copied_build(folder: Path, *, migration: str | None = None) -> Path:
    """What sam built, to be changed; with one migration more."""
    build = folder / BUILD.relative_to(ROOT)
    shutil.copytree(BUILD, build)
    shutil.copytree(ROOT / "statemachines", folder / "statemachines")
    if migration is not None:
        scripts = build / "ClerksyncLayer/python/clerksync/schema/migrations"
        (scripts / "9999_next.sql").write_text(migration, "utf-8")
    return build


def say(text: str) -> None:
    """Progress, between pytest's own lines."""
    print(f"\n  {text}", end="", flush=True)  # noqa: T201 - a person is waiting
