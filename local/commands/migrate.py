"""`migrate`."""

from typing import Annotated, Final

import typer

from clerksync.schema.migrate import migrate as apply_migrations
from clerksync.schema.move import move
from clerksync.settings.environment import Settings
from clerksync.settings.schemas import OWN
from local.commands.context import database, out, say, stack
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
) -> None:
    """Bring the database schema up to date."""
    with stack(migrated=False) as settings, database(settings) as opened:
        if move_to is not None:
            moved = move(opened, settings, to=move_to)
            show_applied(out, moved)
            say(out, _after_move(settings, move_to, moved=bool(moved)))
            return
        applied = apply_migrations(
            opened,
            schema=settings.schema,
            mapping=settings.mapping,
            default_tier=settings.default_tier,
            earlier_schema=settings.earlier_schema,
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
