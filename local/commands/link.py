"""`link`: give the rows that were there before clerksync their Clerk IDs."""

from typing import Annotated

import typer

from local.commands.context import database, err, out, stack
from local.linking.linker import Linker
from local.linking.output import json_parts, show_found, show_linked
from local.progress import shown_progress


def link(
    *,
    yes: Annotated[
        bool, typer.Option("--yes", help="Write the Clerk IDs of the matches.")
    ] = False,
    show_emails: Annotated[
        bool, typer.Option("--show-emails", help="Print the email of each row too.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print all rows as JSON, and nothing else.")
    ] = False,
) -> None:
    """Link rows without a Clerk ID to Clerk users with the same verified email.

    Without --yes it shows what it found and writes nothing. Ends with 1 when the table
    refused a row.
    """
    with (
        stack() as settings,
        database(settings) as opened,
        shown_progress(err if as_json else out) as progress,
        Linker.found(settings, opened, progress) as (linker, found),
    ):
        if yes:
            linker.link(found)
        if as_json:
            for part in json_parts(found, show_emails=show_emails):
                print(part, end="")
            print()
        else:
            show_found(out, found, show_emails=show_emails)
            show_linked(out, found, written=yes)
        if found.failures:
            raise typer.Exit(1)
