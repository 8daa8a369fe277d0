"""An execution environment that answers a file of requests, one after the other.

`python -m tests.chaos.load_worker FILE` says `ready`, waits for a line on standard
input, and gives a line of JSON: of each request the status, and the seconds that it
took.
"""

import json
import os
import sys
import time
from pathlib import Path

from functions.webhook import app


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    # The log and the metrics are written, as in Lambda, and nobody reads them.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    lines = Path(sys.argv[1]).read_text("utf-8").splitlines()
    requests = [json.loads(line) for line in lines]
    # Warm, as an environment under load is.
    app.handler(requests[0] | {"headers": {}}, None)
    app.database.run(lambda connection: connection.execute("SELECT 1"))
    print("ready", file=answers)
    sys.stdin.readline()
    took = []
    for request in requests:
        began = time.perf_counter()
        status = app.handler(request, None)["statusCode"]
        took.append((status, time.perf_counter() - began))
    print(json.dumps(took), file=answers)


if __name__ == "__main__":
    main()
