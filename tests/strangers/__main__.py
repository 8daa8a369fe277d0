"""`python -m tests.strangers`: strangers by the ten thousand, and the table of attacks.

Ends with 1 when somebody gets another answer than promised; hypothesis then shows the
smallest request that does.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, redirect_stdout
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from clerksync.postgres.database import Database
from clerksync.schema.migrate import migrate
from local.stack.embedded_postgres import embedded_postgres
from tests.strangers.asking import ask_as_odd_users, ask_as_strangers
from tests.strangers.attacks import CARRIED, SIGNATURES, Attack, tokens
from tests.strangers.stack import Stack, assembled


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.strangers")
    parser.add_argument("--requests", type=int, default=50_000, metavar="N")
    parser.add_argument("--attacks", type=Path, metavar="FILE", help="write the table")
    options = parser.parse_args()
    for name in list(os.environ):
        if name.startswith(("CLERK", "AWS_", "DATABASE_URL")):
            del os.environ[name]
    broken = 0
    with embedded_postgres() as url:
        with closing(Database(lambda: url)) as database:
            migrate(database)
        with assembled(url, os.environ.__setitem__) as stack:
            _ask(stack, ask_as_strangers, options.requests, "of strangers")
            _ask(stack, ask_as_odd_users, options.requests // 5, "of odd users")
            lines = list(_table(stack))
            broken = sum("**" in line for line in lines)
    print(f"{len(lines) - 2} attacks, {broken} with another answer than promised")
    if options.attacks:
        title = "# Attacks, and the answer to each"
        options.attacks.write_text("\n".join([title, "", *lines, ""]), "utf-8")
    elif broken:
        print("\n".join(line for line in lines if "**" in line))
    sys.exit(bool(broken))


def _ask(
    stack: Stack, ask: Callable[[Stack, int], None], requests: int, whose: str
) -> None:
    before, began = stack.asked, time.monotonic()
    ask(stack, requests)
    seconds = time.monotonic() - began
    # What is printed is listened to, as if it were the log.
    with redirect_stdout(sys.__stdout__):
        print(f"{stack.asked - before:,} requests {whose}, in {seconds:.0f} s")


def _table(stack: Stack) -> Iterator[str]:
    yield "| where | attack | answer |"
    yield "|---|---|---:|"
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    attacks = {
        "signature": SIGNATURES,
        "token": tokens(key),
        "way of the token": CARRIED,
    }
    for where, listed in attacks.items():
        for attack in listed:
            yield f"| {where} | {attack.name} | {_answer(stack, attack)} |"


def _answer(stack: Stack, attack: Attack) -> str:
    status = attack.send(stack).status
    return str(status) if status == attack.answer else f"**{status}**"


if __name__ == "__main__":
    main()
