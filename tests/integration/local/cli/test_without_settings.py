"""Without settings: the stub and the database that commands start themselves."""

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.local.cli.output import summary
from tests.terminal import (
    EVENTS,
    Running,
    clerksync,
    eventually,
    servers_in,
)


def test_without_settings_commands_act_on_a_stub_and_a_database_of_their_own(
    tmp_path: Path,
) -> None:
    """In .clerksync: no command says what is missing, each keeps the data of the one
    before, and no process stays."""
    first = clerksync("sync", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert first.stderr == (
        "No settings: acting on the stub Clerk and the embedded Postgres.\n"
    )
    created = summary(first.stdout)["created"]
    assert created > 900
    second = clerksync("invoke", "bulk_sync", EVENTS / "bulk_full.json", cwd=tmp_path)
    assert second.returncode == 0, second.stderr
    report = json.loads(second.stdout)
    assert (report["created"], report["unchanged"]) == (0, created)
    assert servers_in(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == [".clerksync"]
    shutil.rmtree(tmp_path / ".clerksync")


@pytest.fixture
def hang_up() -> Iterator[None]:
    """Under nohup the tests, and all that they start, would not hear of it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hang_up")
def test_a_terminal_that_closes_while_postgres_starts_leaves_no_server(
    tmp_path: Path,
) -> None:
    """The signal waits for the server to be there, and then ends that too; the next
    command finds whole data."""
    state = tmp_path / ".clerksync"
    with Running("migrate", cwd=tmp_path) as command:
        assert eventually((state / "postgres" / "log").exists)
        command.tell(signal.SIGHUP)
        assert command.wait() == 130
    assert command.output == ""
    assert servers_in(tmp_path) == []
    assert clerksync("migrate", cwd=tmp_path).returncode == 0
    shutil.rmtree(state)
