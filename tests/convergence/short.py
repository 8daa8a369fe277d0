"""The campaign of the tests, until the first rule breaks, told in a line of JSON."""

import json
import sys
from dataclasses import replace

from tests.convergence.arena import arena
from tests.convergence.campaign import SHORT, run
from tests.postgres import postgres_server


def main() -> None:
    seed = int(sys.argv[1]) if sys.argv[1:] else SHORT.seed
    with postgres_server() as url, arena(url) as here:
        result = run(here, replace(SHORT, seed=seed, shrink=False))
    steps = result.at_step or result.tally["steps"]
    print(json.dumps({"broken_rule": result.broken_rule, "steps": steps}))


if __name__ == "__main__":
    main()
