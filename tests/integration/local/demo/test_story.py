"""`clerksync demo`: what it shows, what it notices, and what it leaves behind."""

import io
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from rich.console import Console

from clerksync.observability import logger
from clerksync.write.user_table import UserTable
from local.demo.story import run_demo
from tests.terminal import (
    Running,
    clerksync,
    leaving_nothing,
    servers_in,
)

STEPS = 10


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """Where the demo makes its temporary folder."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    return folder


@pytest.fixture
def own_process() -> Iterator[None]:
    """As the command has one: the demo sets its environment, and the log is quiet."""
    environment, level = dict(os.environ), logger.log_level
    logger.setLevel(logging.WARNING)
    yield
    logger.setLevel(level)
    os.environ.clear()
    os.environ.update(environment)


def databases(temporary: Path) -> list[Path]:
    return list(temporary.glob("clerksync-*"))


def test_all_steps_are_as_they_should_be_whatever_is_set(
    tmp_path: Path, temporary: Path
) -> None:
    """Settings of one's own, in the environment or in .env, are neither used nor in
    the way; nothing stays."""
    (tmp_path / ".env").write_text("CLERKSYNC_DELETE_MODE=soft\n")
    demo = clerksync(
        "demo",
        cwd=tmp_path,
        TMPDIR=str(temporary),
        DATABASE_URL="postgresql://127.0.0.1:1/none",
        CLERK_SECRET_KEY="sk_live_mine",
        CLERK_JWT_KEY="no key",
        CLERK_AUTHORIZED_PARTIES="https://app.example.com",
        CLERKSYNC_SECRET_ID="my/secret",
        CLERKSYNC_INSTANCE_ID="ins_mine",
        CLERKSYNC_SCHEMA="mine",
        CLERKSYNC_REQUIRE_EMAIL="false",
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert demo.stderr == ""
    steps = [line for line in demo.stdout.splitlines() if line[:1].isdigit()]
    assert [int(step.split(".")[0]) for step in steps] == list(range(1, STEPS + 1))
    assert "WRONG" not in demo.stdout
    *_, last = demo.stdout.splitlines()
    assert last.startswith("All as it should be, in ")
    assert databases(temporary) == []
    assert servers_in(temporary) == []
    assert not (tmp_path / ".clerksync").exists()


@pytest.mark.usefixtures("own_process")
def test_a_rule_that_is_broken_is_shown_and_ends_with_1(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A write path that forgets deletions: answered `deleted`, and the row is there."""
    monkeypatch.setattr(UserTable, "delete_user", lambda *_: None)
    console = Console(file=io.StringIO(), width=100)
    assert run_demo(console) == 1
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "WRONG the row is gone, and its rate limit with it" in shown
    assert f"\n{STEPS}. " in shown, "the other steps are shown all the same"
    assert "checks went wrong" in shown.splitlines()[-1]


@pytest.mark.usefixtures("own_process")
def test_an_interrupt_that_is_lost_ends_the_demo_after_the_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Python prints and forgets one that it is told of in a finalizer."""

    def lose(_: object) -> None:
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("local.demo.story.first_sync", lose)
    console = Console(file=io.StringIO(), width=100)
    with pytest.raises(KeyboardInterrupt):
        run_demo(console)
    assert isinstance(console.file, io.StringIO)
    assert "2. " not in console.file.getvalue()


@pytest.mark.usefixtures("own_process")
def test_an_interrupt_that_a_library_turns_into_its_own_error_is_still_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """pydantic does so while it makes a model: importing a function makes many."""

    def disguise(_: object) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt as interrupt:
            raise ValueError("error building the model") from interrupt

    monkeypatch.setattr("local.demo.story.first_sync", disguise)
    with pytest.raises(KeyboardInterrupt):
        run_demo(Console(file=io.StringIO(), width=100))


def test_ctrl_c_in_mid_demo_ends_all_it_started(
    tmp_path: Path, temporary: Path
) -> None:
    """Servers, ports, and the temporary folder."""
    with Running("demo", cwd=tmp_path, TMPDIR=str(temporary)) as demo:
        demo.wait_for("\n1. ")
        demo.tell(signal.SIGSTOP)  # it would be through before we have looked
        with leaving_nothing(temporary, demo):
            assert len(demo.ports()) == 2, "gateway and stub"
            assert len(databases(temporary)) == 1
            demo.tell(signal.SIGINT)
            demo.tell(signal.SIGCONT)
            assert demo.wait() == 130, demo.output
        assert databases(temporary) == []
    assert "Traceback" not in demo.output
