"""`seed`."""

from typing import Annotated

import typer

from clerksync.settings.environment import Settings
from local.commands.context import errors, fail, out, read_dotenv
from local.progress import counted, shown_progress
from local.seeding import seed_users
from local.stack.target import (
    has_own_settings,
    running_dev,
    settings_in_environment,
)

_MOST: int = 100_000


def seed(
    users: Annotated[
        int,
        typer.Option(min=1, max=_MOST, help="How many there shall be of this seed."),
    ] = 20,
    seed: Annotated[
        int, typer.Option(min=0, help="Another one gives other users.")
    ] = 1,
) -> None:
    """Make invented users in a development instance, or in the stub of clerksync dev.

    Called again, it makes only those that are missing. A live instance is refused.
    """
    read_dotenv()
    if not has_own_settings() and running_dev() is None:
        fail(
            "There is nothing to make users in: without settings, the stub Clerk lives "
            "only as long as a command. Start clerksync dev in another terminal, or "
            "set CLERK_SECRET_KEY to that of a development instance (sk_test_…)."
        )
    with errors(), settings_in_environment() as origin, shown_progress(out) as progress:
        seeded = seed_users(
            Settings(),
            users=users,
            seed=seed,
            is_stub=origin == "dev",
            progress=lambda done, total: progress("seed", done, total),
        )
    there = f", {seeded.there:,} were there" if seeded.there else ""
    out.print(f"{counted(seeded.made, 'user')} made{there}.", highlight=False)
