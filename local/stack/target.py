"""What a command acts on: the user's own Clerk and Postgres, or ours on this laptop.

With CLERK_SECRET_KEY or DATABASE_URL in the environment or in `.env`, the settings are
the user's. Without both, an embedded Postgres and a stub Clerk stand in: those of a
running `clerksync dev` where there is one.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values

from clerksync.text_files import read_text
from local.stack.embedded_postgres import embedded_postgres
from local.stub_clerk.stub import StubClerk

STATE: Final = Path(".clerksync")
_RUNNING: Final = STATE / "dev.json"
_STUB_USERS: Final = 1_000


Origin = Literal["own", "dev", "stub"]
"""Of the settings: the user's, those of a running `clerksync dev`, or made anew."""


def load_dotenv() -> None:
    """Take over what `.env` says and the environment does not.

    Raises UnreadableFileError, which names the line if it is known.
    """
    file = Path(".env")
    if (file / "pyvenv.cfg").exists():
        return  # a virtual environment by that name
    try:
        text = read_text(file, called=".env")
    except FileNotFoundError:
        return
    for name, value in dotenv_values(stream=StringIO(text)).items():
        if value and not os.environ.get(name):
            os.environ[name] = value


def has_own_settings() -> bool:
    """Whether the user's own Clerk or Postgres is meant."""
    names = ("CLERK_SECRET_KEY", "DATABASE_URL", "CLERKSYNC_SECRET_ID")
    return any(os.environ.get(name) for name in names)


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """The settings of an embedded Postgres and a stub Clerk."""

    DATABASE_URL: str
    CLERK_SECRET_KEY: str
    CLERK_API_URL: str
    CLERK_ISSUER: str
    CLERK_WEBHOOK_SIGNING_SECRET: str

    @classmethod
    def of(cls, stub: StubClerk, database_url: str) -> "LocalSettings":
        return cls(
            DATABASE_URL=database_url,
            CLERK_SECRET_KEY=stub.secret_key,
            CLERK_API_URL=stub.url,
            CLERK_ISSUER=stub.issuer,
            CLERK_WEBHOOK_SIGNING_SECRET=stub.webhook_signing_secret,
        )

    def export(self) -> None:
        """Into the environment, where what tells of another instance has no place."""
        for name in list(os.environ):
            if name.startswith("CLERK_") or name == "CLERKSYNC_INSTANCE_ID":
                del os.environ[name]
        os.environ.update(asdict(self))


@contextmanager
def stub_stack(
    *, users: int = _STUB_USERS, data: Path | None = None, stub_port: int = 0
) -> Iterator[StubClerk]:
    """An embedded Postgres and a stub Clerk, and the environment set to use them."""
    with (
        embedded_postgres(data) as database_url,
        StubClerk(users=users, port=stub_port) as stub,
    ):
        LocalSettings.of(stub, database_url).export()
        yield stub


@contextmanager
def settings_in_environment() -> Iterator[Origin]:
    """Set the environment to whatever a single command acts on."""
    load_dotenv()
    if has_own_settings():
        yield "own"
        return
    running = running_dev()
    if running is not None:
        running.export()
        yield "dev"
        return
    with stub_stack(data=STATE / "postgres"):
        yield "stub"


@contextmanager
def announced(settings: LocalSettings) -> Iterator[None]:
    """Let other commands find this stack while it runs."""
    STATE.mkdir(exist_ok=True)
    _RUNNING.write_text(json.dumps(asdict(settings)))
    try:
        yield
    finally:
        _RUNNING.unlink(missing_ok=True)


def running_dev() -> LocalSettings | None:
    """The settings of a `clerksync dev` that runs in this folder."""
    try:
        settings = LocalSettings(**json.loads(_RUNNING.read_text()))
        address = urlsplit(settings.CLERK_API_URL)
        with socket.create_connection((address.hostname, address.port or 80), 1):
            return settings
    except (OSError, ValueError, TypeError):
        return None
