"""`demo` and `dev`."""

import typer

from local.commands.context import errors, out, read_dotenv
from local.demo.story import run_demo
from local.dev import run_dev


def demo() -> None:
    """Show the whole story on this laptop; ends with 1 if any step goes wrong."""
    with errors():
        raise typer.Exit(run_demo(out))


def dev() -> None:
    """Serve the HTTP routes on this laptop until Ctrl-C."""
    read_dotenv()
    with errors():
        run_dev(out)
