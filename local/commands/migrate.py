"""`migrate`."""

from typing import Annotated, Final

import typer

from clerksync.schema.migrate import migrate as apply_migrations
from clerksync.schema.move import move
from clerksync.settings.environment import Settings
from clerksync.settings.schemas import OWN
from local.commands.context import database, err, out, say, stack
from local.lock_wait import LockWait
from local.progress import show_applied

_AFTER_MOVE: Final = (
    "Then deploy, and restart the servers that use clerksync. Until then they fail, "
    "and Clerk retries its webhooks."
)


def migrate(
    move_to: Annotated[
        str | None,
        typer.Option(
            metavar="SCHEMA",
            help="First move clerksync's own tables to this schema.",
        ),
    ] = None,
    lock_wait: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="How long to wait for locks that the application holds.",
        ),
    ] = 60,
) -> None:
    """Bring the database schema up to date."""
    with stack(migrated=False) as settings, database(settings) as opened:
        wait = LockWait(settings, lambda text: say(err, text), seconds=lock_wait)
        if move_to is not None:
            to, begin = move_to, wait.begin
            moved = wait.run(lambda: move(opened, settings, to=to, begin=begin))
            show_applied(out, moved)
            say(out, _after_move(settings, move_to, moved=bool(moved)))
            return
        applied = wait.run(
            lambda: apply_migrations(
                opened,
                schema=settings.schema,
                mapping=settings.mapping,
                default_tier=settings.default_tier,
                earlier_schema=settings.earlier_schema,
                begin=wait.begin,
            )
        )
    show_applied(out, applied)
    out.print("The schema is up to date.")


def _after_move(settings: Settings, to: str, *, moved: bool) -> str:
    """What is left to do by hand."""
    done = f"clerksync's tables are {'now' if moved else 'already'} in the schema {to}."
    if to == settings.schema:
        return f"{done} {_AFTER_MOVE}" if moved else done
    setting = (
        f"Remove CLERKSYNC_SCHEMA, whose default is {OWN}"
        if to == OWN
        else f"Set CLERKSYNC_SCHEMA={to}"
    )
    return f"{done} {setting} (the parameter Schema of the stack). {_AFTER_MOVE}"
