"""`invoke` and `sign`: the functions and their events."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from clerksync.errors import (
    ClerksyncError,
    MissingSettingError,
    UnreadableFileError,
)
from clerksync.settings.environment import Settings
from clerksync.text_files import decode, read_text
from local.commands.context import err, errors, fail, read_dotenv, stack
from local.stack.functions import MODULES, handler, load_event, ready, signed
from local.stack.target import has_own_settings
from local.stub_clerk.stub import StubClerk

EventFile = Annotated[
    Path, typer.Argument(help="A JSON file, or - for standard input.")
]


def invoke(
    function: Annotated[str, typer.Argument(help=f"One of {', '.join(MODULES)}.")],
    event_file: EventFile,
) -> None:
    """Call a function with an event, as Lambda would, and print its answer.

    A placeholder for a signature is replaced by a valid one, and, on the stub Clerk, a
    placeholder for a session token by a valid one. The answer of migrate, which goes to
    CloudFormation, is printed and not sent.
    """
    try:
        call = handler(function)
    except KeyError:
        message = f"there is no function {function}: take {', '.join(MODULES)}"
        raise typer.BadParameter(message) from None
    event = _read(event_file)
    with stack() as settings:
        made_good = _ready(event, settings)
        try:
            answer = call(made_good, None)
        except Exception as error:  # noqa: BLE001 - Lambda shows what a function raises
            fail(f"{type(error).__name__}: {error}")
    print(json.dumps(answer, indent=2))
    failed = answer.get("statusCode", 200) >= 400 or answer.get("Status") == "FAILED"
    if failed or answer.get("status", "completed") != "completed":
        raise typer.Exit(1)


def sign(event_file: EventFile) -> None:
    """Print a webhook event with a fresh, valid signature."""
    event = _read(event_file)
    read_dotenv()
    with errors():
        try:
            print(json.dumps(signed(event, _signing_secret())))
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None


def _read(event_file: Path) -> dict[str, Any]:
    try:
        return load_event(_text(event_file))
    except OSError as error:
        raise typer.BadParameter(f"{event_file}: {error.strerror}") from None
    except UnreadableFileError as error:
        raise typer.BadParameter(str(error)) from None
    except (TypeError, ValueError):
        raise typer.BadParameter(f"{event_file} is not a JSON object") from None


def _text(event_file: Path) -> str:
    if str(event_file) == "-":
        return decode(sys.stdin.buffer.read(), called="standard input")
    return read_text(event_file, called=str(event_file))


def _signing_secret() -> str:
    """The user's own; of a stub Clerk, all have the same."""
    try:
        return Settings().webhook_signing_secrets[0]
    except MissingSettingError:
        if has_own_settings():
            raise
        err.print("No settings: signed with the secret of the stub Clerk.")
        return StubClerk().webhook_signing_secret


def _ready(event: dict[str, Any], settings: Settings) -> dict[str, Any]:
    try:
        secret = settings.webhook_signing_secrets[0]
    except ClerksyncError:
        secret = None
    try:
        return ready(event, secret=secret, clerk=settings.clerk_api_url)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
