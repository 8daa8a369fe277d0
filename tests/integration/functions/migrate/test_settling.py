"""A first deployment: the role was made a moment ago, and IAM tells nobody when all of
AWS knows it."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace

import psycopg
import pytest

from tests.doors import log_lines
from tests.integration.functions.migrate.stack import Stack
from tests.tables import rows

pytestmark = pytest.mark.alters_schema


class SecretsManager(ThreadingHTTPServer):
    """Refuses everybody, for so many requests."""

    daemon_threads = True

    def __init__(self, text: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.text = text
        self.refusals = 0.0
        self.refused_with = "AccessDeniedException"
        self.requests = 0


class _Handler(BaseHTTPRequestHandler):
    server: SecretsManager

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.server.requests += 1
        refused = self.server.requests <= self.server.refusals
        answer = {"SecretString": self.server.text}
        if refused:
            answer = {"__type": self.server.refused_with, "Message": "correct-horse"}
        body = json.dumps(answer).encode()
        self.send_response(400 if refused else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def manager(
    environment: pytest.MonkeyPatch, database_url: str
) -> Iterator[SecretsManager]:
    """The settings are in a secret, and nowhere else."""
    with SecretsManager(json.dumps({"DATABASE_URL": database_url})) as manager:
        thread = Thread(target=manager.serve_forever, args=(0.005,))
        thread.start()
        url = f"http://127.0.0.1:{manager.server_address[1]}"
        for name, value in {
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": url,
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "key",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "CLERKSYNC_SECRET_ID": "clerksync",
            "DATABASE_URL": "",
        }.items():
            environment.setenv(name, value)
        try:
            yield manager
        finally:
            manager.shutdown()
            thread.join()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """In seconds; nobody waits for them."""
    pauses: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: 1000 + sum(pauses), sleep=pauses.append)
    monkeypatch.setattr("clerksync.doors.deploy_migration.time", clock)
    return pauses


def test_a_role_that_may_not_read_yet_is_waited_for(
    stack: Stack,
    empty: psycopg.Connection,
    manager: SecretsManager,
    pauses: list[float],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Longer each time, and the log says why it takes so long."""
    manager.refusals = 3
    assert stack.ask("Create")["Status"] == "SUCCESS"
    assert rows(empty) == {}
    assert pauses == [1, 2, 4]
    lines = log_lines(
        capsys.readouterr().out, "the secret may not be read yet: trying again"
    )
    assert len(lines) == 3


def test_a_role_that_never_may_fails_the_deployment_within_its_time(
    stack: Stack, manager: SecretsManager, pauses: list[float]
) -> None:
    """Half a minute, and no more than half of what Lambda leaves."""
    manager.refusals = float("inf")
    answer = stack.ask("Create", seconds=300)
    assert answer["Status"] == "FAILED"
    assert "(AccessDeniedException): check name, region and perm" in answer["Reason"]
    assert sum(pauses) == pytest.approx(30)
    pauses.clear()
    assert stack.ask("Create", seconds=45)["Status"] == "FAILED"
    assert sum(pauses) == pytest.approx(10)


def test_a_secret_that_is_not_there_is_not_waited_for(
    stack: Stack, manager: SecretsManager, pauses: list[float]
) -> None:
    """Waiting makes none."""
    manager.refusals = float("inf")
    manager.refused_with = "ResourceNotFoundException"
    answer = stack.ask("Create")
    assert answer["Status"] == "FAILED"
    assert "(ResourceNotFoundException)" in answer["Reason"]
    assert pauses == []
