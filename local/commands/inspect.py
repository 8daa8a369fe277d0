"""`doctor` and `status`: looks that change nothing."""

import json
from dataclasses import asdict
from functools import partial
from typing import Annotated

import typer

from local.commands.context import database, err, out, read_dotenv, stack
from local.doctor.check_runner import examine
from local.doctor.checks import CHECKS
from local.doctor.output import show_findings, show_summary
from local.doctor.subject import Subject
from local.progress import shown_progress
from local.stack.target import has_own_settings
from local.status import look
from local.status_output import show_status

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]


def doctor(*, as_json: AsJson = False) -> None:
    """Check settings, Clerk, database and tables; say what is wrong, and the remedy.

    Ends with 1 when anything is wrong.
    """
    read_dotenv()
    own = has_own_settings()  # before those of a stub are set
    progress = partial(shown_progress, err, transient=True)
    with stack(), Subject.opened(own=own, progress=progress) as subject:
        findings = examine(CHECKS, subject)
        found = list(findings) if as_json else show_findings(out, findings)
    is_wrong = any(finding.level == "wrong" for finding in found)
    if as_json:
        listed = [asdict(finding) for finding in found]
        print(json.dumps({"ok": not is_wrong, "findings": listed}))
    else:
        show_summary(out, found)
    if is_wrong:
        raise typer.Exit(1)


def status(*, as_json: AsJson = False) -> None:
    """Count users at Clerk and in the table, and show the last runs.

    Ends with 1 when Clerk or the database cannot be asked.
    """
    with stack() as settings, database(settings) as opened:
        found = look(settings, opened)
    if as_json:
        print(json.dumps(found.as_json()))
    else:
        show_status(out, found)
    if found.clerk_error:
        raise typer.Exit(1)
