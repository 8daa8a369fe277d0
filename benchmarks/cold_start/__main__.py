"""`make bench-cold`: first requests of the built functions. COLD=--help for less."""

import argparse
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from benchmarks.cold_start.emulator import RUNTIME_PYTHON
from benchmarks.cold_start.measuring import USERS, Stage
from benchmarks.cold_start.report import Report
from benchmarks.machine import measured_by
from benchmarks.results_table import goals_table
from benchmarks.scenarios import ROOT

_RESULTS: Final = ROOT / "benchmarks" / "results"
_ROUNDS: Final = 7
_PACKAGES: Final = {
    ".venv-sam/lib/*/site-packages": ("aws-sam-cli",),
    ".venv-ric/lib/*/site-packages": ("awslambdaric", "boto3"),
    ".aws-sam/cold/ClerksyncLayer/python": ("psycopg", "pydantic", "urllib3"),
}
_HOW: Final = f"""\
## Who and how

- `clerksync`: what `sam build` made of functions and layer, byte for byte.
- `naive`: one page of glue code that imports every SDK (svix, Clerk's, pydantic,
  psycopg, boto3, PyJWT, Powertools with Tracer and event handler), makes all clients
  at import, and does the same job with a plain upsert.
- Both have boto3 from the runtime, with bytecode.

Each sample is a fresh process of AWS's Runtime Interface Emulator, which starts the
function's process when the first request comes: its time is from the request to the
answer, initialisation included. The second request finds a warm function. All do the
real job: a signed `user.created` becomes a row; a session token, checked with a key set
fetched from Clerk, lets a user be fetched and stored; a bulk sync stores {USERS} users;
migrate makes an empty database's schema, and then finds it there.

The stub Clerk is a process of its own; Postgres is the embedded one, over a socket.
Contenders take turns within a round, in an order that rotates. Figures are medians of n
rounds, ratios medians of the rounds' own ratios.

Stages are of further runs, whose handler is wrapped from outside: imports are timed
wherever they happen, also those inside functions. What reading the secret imports when
it is read counts as the secret's; the naive function has imported boto3 before.

## Assumptions

- Bytecode: `sam build` ships none, Lambda cannot write to /var/task and /opt, and so
  every cold start compiles every module that it imports. Here PYTHONDONTWRITEBYTECODE
  stands in for that. The runtime's own packages are taken to have theirs.
- `bytecode: yes` is the same layer with unchecked-hash bytecode, which no timestamp can
  make stale: the ZIP files that SAM makes date everything 1980.
- Not in these figures, because they do not exist here: downloading the code and making
  the sandbox, disks slower than a page cache, TLS with Postgres, Clerk and AWS (loading
  the certificates alone takes some 25 ms), and Lambda's share of a core. With 512 MB
  that is less than a third once initialisation is over: what a handler imports in
  its first request takes longer there than the same import at the start.
"""


def main() -> None:
    options = _options()
    with Stage.built() as stage:
        report = Report(stage.rounds(options.rounds))
        versions = _versions(stage.server.version())
    facts = measured_by("make bench-cold", versions)
    lines = ["# Cold starts, side by side", "", *facts, "", "## Goals", ""]
    lines += goals_table(report.goals())
    for section in report.sections():
        lines += ["", *section]
    lines += ["", *_HOW.splitlines()]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.results is not None:
        (options.results / "cold-start.md").write_text(text, "utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-cold COLD='…'")
    parser.add_argument(
        "--rounds", type=int, metavar="N", help=f"instead of {_ROUNDS}; only printed"
    )
    parser.add_argument(
        "--results", type=Path, metavar="FOLDER", help="where to write results"
    )
    options = parser.parse_args()
    if options.rounds is None:
        options.rounds, options.results = _ROUNDS, options.results or _RESULTS
    return options


def _versions(postgres: str) -> Iterator[str]:
    """Of what the functions ran on, which is not what runs this."""
    program = "import platform; print(platform.python_version())"
    done = subprocess.run(
        [str(RUNTIME_PYTHON), "-c", program], capture_output=True, text=True, check=True
    )
    yield f"Python {done.stdout.strip()}"
    yield f"Postgres {postgres}"
    for pattern, names in _PACKAGES.items():
        places = [str(place) for place in ROOT.glob(pattern)]
        for name in names:
            found = next(iter(metadata.distributions(name=name, path=places)))
            yield f"{name} {found.version}"


if __name__ == "__main__":
    main()
