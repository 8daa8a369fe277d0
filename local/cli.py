"""The command line: the same code as the functions, without AWS."""

import json
import logging
import math
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import psycopg
import typer
from rich.console import Console
from rich.markup import escape

from clerksync.bulk_run import BulkSyncRequest
from clerksync.clerk_api import BULK, ClerkApi
from clerksync.clerk_user import is_clerk_id
from clerksync.database import Database
from clerksync.errors import (
    ClerksyncError,
    MissingSettingError,
    SchemaOutdatedError,
)
from clerksync.migrate import migrate as apply_migrations
from clerksync.observability import logger
from clerksync.reconcile import BulkSync
from clerksync.settings import Settings
from local.demo import run_demo
from local.dev import run_dev
from local.functions import MODULES, handler, load_event, ready, signed
from local.progress import show_report, shown_progress
from local.stack import (
    has_own_settings,
    load_dotenv,
    settings_in_environment,
)
from local.stub_clerk import StubClerk

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Keep a Postgres users table equal to Clerk.",
)
out = Console()
err = Console(stderr=True)

_NOT_OWN = {
    "stub": "No settings: acting on the stub Clerk and the embedded Postgres.",
    "dev": "Acting on the stub Clerk and the embedded Postgres of clerksync dev.",
}

DryRun = Annotated[bool, typer.Option(help="Show what would change, change nothing.")]
Force = Annotated[
    bool, typer.Option(help="Go on where a guard refuses: orphans, another instance.")
]
TimeLimit = Annotated[
    float | None,
    typer.Option(
        min=1,
        metavar="SECONDS",
        help="Stop after so long; the next run goes on from there.",
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the report as JSON, and nothing else.")
]
EventFile = Annotated[
    Path, typer.Argument(help="A JSON file, or - for standard input.")
]


class Mode(StrEnum):
    full = "full"
    incremental = "incremental"
    cleanup = "cleanup"


@app.command()
def migrate() -> None:
    """Bring the database schema up to date."""
    with _stack() as settings, _database(settings) as database:
        applied = apply_migrations(database, schema=settings.schema)
    for name in applied:
        out.print(f"applied {name}", highlight=False)
    out.print("The schema is up to date.")


@app.command()
def sync(
    mode: Annotated[Mode, typer.Option(help="How much to look at.")] = Mode.full,
    *,
    dry_run: DryRun = False,
    force: Force = False,
    time_limit: TimeLimit = None,
    as_json: AsJson = False,
) -> None:
    """Make the table equal to Clerk, and delete who is gone."""
    request = BulkSyncRequest(mode=mode.value, dry_run=dry_run, force=force)
    _bulk(request, as_json=as_json, time_limit=time_limit)


@app.command()
def cleanup(
    *,
    dry_run: DryRun = False,
    force: Force = False,
    time_limit: TimeLimit = None,
    as_json: AsJson = False,
) -> None:
    """Only delete who is gone from Clerk."""
    request = BulkSyncRequest(mode="cleanup", dry_run=dry_run, force=force)
    _bulk(request, as_json=as_json, time_limit=time_limit)


@app.command("sync-user")
def sync_user(
    clerk_id: Annotated[str, typer.Argument(metavar="ID", help="user_…")],
    *,
    dry_run: DryRun = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Ask Clerk for one user and write, or delete, it."""
    if not is_clerk_id(clerk_id):
        raise typer.BadParameter("a Clerk user id begins with user_")
    request = BulkSyncRequest(
        mode="user", user_id=clerk_id, dry_run=dry_run, force=force
    )
    _bulk(request, as_json=as_json)


@app.command()
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
    with _stack() as settings:
        made_good = _ready(event, settings)
        try:
            answer = call(made_good, None)
        except Exception as error:  # noqa: BLE001 - Lambda shows what a function raises
            _fail(f"{type(error).__name__}: {error}")
    print(json.dumps(answer, indent=2))
    failed = answer.get("statusCode", 200) >= 400 or answer.get("Status") == "FAILED"
    if failed or answer.get("status", "completed") != "completed":
        raise typer.Exit(1)


@app.command()
def sign(event_file: EventFile) -> None:
    """Print a webhook event with a fresh, valid signature."""
    event = _read(event_file)
    load_dotenv()
    with _errors():
        try:
            print(json.dumps(signed(event, _signing_secret())))
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None


@app.command()
def demo() -> None:
    """Show the whole story on this laptop; ends with 1 if any step goes wrong."""
    with _errors():
        raise typer.Exit(run_demo(out))


@app.command()
def dev() -> None:
    """Serve the HTTP routes on this laptop until Ctrl-C."""
    load_dotenv()
    with _errors():
        run_dev(out)


def main() -> None:
    # However it is told to end, what it started ends with it. nohup has its way.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    logger.setLevel(logging.WARNING)
    logger.registered_handler.setStream(sys.stderr)  # type: ignore[attr-defined] # a StreamHandler
    app()


def _bulk(
    request: BulkSyncRequest, *, as_json: bool, time_limit: float | None = None
) -> None:
    deadline = time.monotonic() + (time_limit or math.inf)
    with _stack() as settings, _database(settings) as database:
        with shown_progress(err if as_json else out) as progress:
            clerk = ClerkApi(settings, BULK)
            sync = BulkSync(settings, database, clerk, progress)
            report = sync.run(request, deadline=deadline)
        if as_json:
            print(json.dumps(report.as_json()))
        else:
            show_report(out, report)
    if report.status != "completed":
        raise typer.Exit(1)


@contextmanager
def _stack() -> Iterator[Settings]:
    """The settings to act on; the schema of an embedded database is kept up to date."""
    with _errors(), settings_in_environment() as origin:
        settings = Settings()
        if origin != "own":
            err.print(_NOT_OWN[origin])
        if origin == "stub":
            with _database(settings) as database:
                apply_migrations(database, schema=settings.schema)
        yield settings


@contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    database = Database.from_settings(settings)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def _errors() -> Iterator[None]:
    """Exit 1 with a message that says what to do, instead of a traceback."""
    try:
        yield
    except SchemaOutdatedError:
        _fail("The database schema is not up to date: run clerksync migrate.")
    except (ClerksyncError, OSError) as error:
        _fail(str(error))
    except psycopg.Error as error:
        _fail(f"Postgres refused: {type(error).__name__} (SQLSTATE {error.sqlstate}).")
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _fail(message: str) -> NoReturn:
    text = f"[red]error:[/red] {escape(message)}"
    err.print(text, highlight=False, soft_wrap=True)
    raise typer.Exit(1)


def _read(event_file: Path) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if str(event_file) == "-" else event_file.read_text()
        return load_event(text)
    except OSError as error:
        raise typer.BadParameter(f"{event_file}: {error.strerror}") from None
    except (TypeError, ValueError):
        raise typer.BadParameter(f"{event_file} is not a JSON object") from None


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
