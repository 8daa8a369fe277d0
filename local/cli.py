"""The command line: the same code as the functions, without AWS."""

import logging
import signal
import sys

import typer

from clerksync.observability import logger
from local.commands import (
    inspect,
    invoke,
    link,
    map_table,
    migrate,
    rate_limits,
    seed,
    serve,
    sync,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Keep a Postgres users table equal to Clerk.",
)
for command in (
    migrate.migrate,
    link.link,
    sync.sync,
    sync.cleanup,
    sync.sync_user,
    rate_limits.tier,
    rate_limits.rate_limit,
    inspect.status,
    inspect.doctor,
    seed.seed,
    invoke.invoke,
    invoke.sign,
    serve.demo,
    serve.dev,
):
    app.command()(command)
# Python's own `map` keeps its name.
app.command("map")(map_table.map_table)


def main() -> None:
    # However it is told to end, what it started ends with it. nohup has its way.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    logger.setLevel(logging.WARNING)
    logger.registered_handler.setStream(sys.stderr)  # type: ignore[attr-defined] # a StreamHandler
    app()
