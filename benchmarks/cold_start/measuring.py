"""Rounds of fresh processes, each with two real requests."""

import json
import secrets
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Self

from benchmarks.cold_start.aws_stub import SECRET, AwsStub, aws_stub
from benchmarks.cold_start.contenders import (
    EMPTY,
    MIGRATE,
    Case,
    Deployments,
    Sample,
    answered,
    cases,
)
from benchmarks.cold_start.emulator import Emulated, emulated
from benchmarks.scenarios import ROOT
from benchmarks.server import Server
from benchmarks.stub_process import StubProcess, stub_process
from local.stack.embedded_postgres import embedded_postgres
from local.stack.functions import signed

USERS: Final = 25
_EVENTS: Final = ROOT / "events"


class Stage:
    """The servers that all contenders meet, and a database for each of the two."""

    def __init__(self, server: Server, clerk: StubProcess, folder: Path) -> None:
        self.server = server
        self._clerk = clerk
        self._deployments = Deployments(folder)
        self._lifetime = ExitStack()
        self._aws: dict[str, AwsStub] = {}
        self._environments: dict[tuple[str, bool], dict[str, str]] = {}

    @classmethod
    @contextmanager
    def built(cls) -> Iterator[Self]:
        with (
            embedded_postgres() as url,
            TemporaryDirectory(prefix="clerksync-cold-") as folder,
            stub_process(USERS) as clerk,
        ):
            stage = cls(Server(url), clerk, Path(folder))
            with stage._lifetime:
                for who in ("clerksync", "naive"):
                    stage._open(who)
                yield stage

    def rounds(self, count: int) -> Iterator[Sample]:
        """Says on stderr how far it is."""
        chosen = list(cases())
        for number in range(count):
            first = number * 5 % len(chosen)
            for case in chosen[first:] + chosen[:first]:
                yield self._measured(case, number)
            print(f"round {number + 1}/{count}", file=sys.stderr)

    def _open(self, who: str) -> None:
        self.server.create(who, mapping="default")
        settings = {
            "DATABASE_URL": self.server.url(who),
            "CLERK_SECRET_KEY": self._clerk.secret_key,
            "CLERK_API_URL": self._clerk.url,
            "CLERK_ISSUER": self._clerk.issuer,
            "CLERK_WEBHOOK_SIGNING_SECRET": self._clerk.webhook_signing_secret,
        }
        # All store all users: the stub has some without an email.
        common = {"CLERKSYNC_REQUIRE_EMAIL": "false"}
        aws = self._lifetime.enter_context(aws_stub(settings))
        self._aws[who] = aws
        named = {
            "CLERKSYNC_SECRET_ID": SECRET,
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": aws.url,
        }
        self._environments[who, False] = common | settings
        self._environments[who, True] = common | named

    def _measured(self, case: Case, number: int) -> Sample:
        if case.function == MIGRATE:
            self.server.create(case.who, mapping=None)
        else:
            self.server.truncate(case.who)
        environment = self._environments[case.who, case.secret]
        with emulated(self._deployments.of(case, environment)) as function:
            first_ms, stages = self._request(case, function)
            second_ms, _ = self._request(case, function)
        if case.staged:
            # A name in the probe's list that is no longer right would time nothing.
            assert {"imports", "secret", "connect"} <= stages.keys(), stages
            stages["start"] = first_ms - sum(stages.values())
        return Sample(
            case=case,
            round=number,
            first_ms=first_ms,
            second_ms=second_ms,
            stages=stages,
        )

    def _request(self, case: Case, function: Emulated) -> tuple[float, dict[str, Any]]:
        event = self._event(case)
        elapsed, answer = function.invoke(event)
        stages: dict[str, float] = {}
        if case.staged:
            answer, stages = answer["answer"], answer["stages"]
        if not answered(case, answer, USERS):
            raise AssertionError(f"{case} answered {answer}\n{function.log()}")
        if case.function == MIGRATE:
            told = self._aws[case.who].told.pop()
            assert told["Status"] == "SUCCESS", f"{case} told {told}"
        elif case.function != EMPTY:
            assert self.server.count(case.who, "users") > 0, f"{case} stored nobody"
        return elapsed, stages

    def _event(self, case: Case) -> dict[str, Any]:
        """A request of its own: nobody's is a repetition."""
        match case.function:
            case "bulk-sync":
                return {}
            case "migrate":
                url = {"ResponseURL": self._aws[case.who].url}
                return _sample("migration") | url
            case "self-sync":
                event = _sample("self_sync")
                token = f"Bearer {self._clerk.session_token()}"
                return event | {"headers": event["headers"] | {"authorization": token}}
        event = _sample("user_created")
        body = json.loads(event["body"])
        user = body["data"]
        user["id"] = f"user_{secrets.token_hex(14)[:27]}"
        user["email_addresses"][0]["email_address"] = f"{user['id']}@example.com"
        event["body"] = json.dumps(body)
        return signed(event, self._clerk.webhook_signing_secret)


def _sample(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((_EVENTS / f"{name}.json").read_text("utf-8"))
    return event
