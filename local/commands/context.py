"""What commands have in common: what they act on, and how they fail."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Annotated, Final, NoReturn

import psycopg
import typer
from psycopg.errors import LockNotAvailable
from rich.console import Console
from rich.markup import escape

from clerksync.clerk.user import is_clerk_id
from clerksync.errors import (
    ClerksyncError,
    NoMappingError,
    SchemaOutdatedError,
    UnreadableFileError,
)
from clerksync.mapping.file import DEFAULT
from clerksync.observability import describe
from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate as apply_migrations
from clerksync.settings.environment import Settings
from local.map.check import check
from local.stack.target import load_dotenv, settings_in_environment

ClerkId = Annotated[str, typer.Argument(metavar="ID", help="user_…")]

out: Final = Console()
err: Final = Console(stderr=True)

_NOT_OWN: Final = {
    "stub": "No settings: acting on the stub Clerk and the embedded Postgres.",
    "dev": "Acting on the stub Clerk and the embedded Postgres of clerksync dev.",
}
_LOCKED: Final = (
    "Another transaction has locked the table. What was not written yet is as it was. "
    "pg_stat_activity shows which transaction: end it, then run the command again."
)


@contextmanager
def stack(*, migrated: bool = True) -> Iterator[Settings]:
    """The settings to act on; the schema of an embedded database is kept up to date,
    except for the command that migrates it."""
    with errors(), settings_in_environment() as origin:
        settings = Settings()
        if origin != "own":
            err.print(_NOT_OWN[origin])
        if origin == "stub" and migrated:
            with database(settings) as opened:
                apply_migrations(
                    opened,
                    schema=settings.schema,
                    mapping=settings.mapping,
                    default_tier=settings.default_tier,
                    earlier_schema=settings.earlier_schema,
                )
        try:
            yield settings
        except SchemaOutdatedError:
            if problems := _misfits(settings):
                fail(problems)
            raise


def _misfits(settings: Settings) -> str:
    """Return where the mapping and its table differ; nothing if `migrate` is enough."""
    mapping, schema = settings.mapping, settings.schema
    if mapping == DEFAULT:
        return ""
    with database(settings) as opened:
        found = opened.run(lambda c: check(c, mapping, schema)).problems
    if not found:
        return ""
    return (
        f"The mapping {mapping.name} does not fit its table. {' '.join(found)} Change "
        "the mapping or the table; then run clerksync migrate."
    )


@contextmanager
def database(settings: Settings) -> Iterator[Database]:
    with closing(Database.from_settings(settings)) as opened:
        yield opened


@contextmanager
def errors() -> Iterator[None]:
    """Exit 1 with a message that says what to do, instead of a traceback; exit 2 if the
    reason is a file that cannot be read."""
    try:
        yield
    except NoMappingError as error:
        fail(f"There is no mapping {error.name}. {error}")
    except UnreadableFileError as error:
        fail(str(error), code=2)
    except SchemaOutdatedError:
        fail("The database schema is not up to date: run clerksync migrate.")
    except (ClerksyncError, OSError) as error:
        fail(str(error))
    except LockNotAvailable:
        fail(_LOCKED)
    except psycopg.Error as error:
        if denied := describe(error).get("denied"):
            fail(f"Postgres refused: {denied}. Grant it to the role in DATABASE_URL.")
        fail(f"Postgres refused: {type(error).__name__} (SQLSTATE {error.sqlstate}).")
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def check_id(clerk_id: str) -> None:
    if not is_clerk_id(clerk_id):
        raise typer.BadParameter("a Clerk user id begins with user_")


def say(console: Console, text: str) -> None:
    """In one line, as it is."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def read_dotenv() -> None:
    """Take over what `.env` says, for a command that looks at the settings early."""
    with errors():
        load_dotenv()


def fail(message: str, *, code: int = 1) -> NoReturn:
    text = f"[red]error:[/red] {escape(message)}"
    err.print(text, highlight=False, soft_wrap=True)
    raise typer.Exit(code)
