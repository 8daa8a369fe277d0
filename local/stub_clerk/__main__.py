"""`python -m local.stub_clerk`: a stub in a process of its own.

Prints one line of JSON with everything a client needs, then serves until SIGTERM,
SIGINT or, with --exit-with-stdin, the end of its standard input.
"""

import argparse
import json
import os
import signal
import threading

from local.stub_clerk.stub import StubClerk

_SHOWN = (
    "url",
    "issuer",
    "instance_id",
    "secret_key",
    "publishable_key",
    "jwt_public_key",
    "webhook_signing_secret",
)


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m local.stub_clerk")
    parser.add_argument("--users", type=int, default=0)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--environment-type", default="development")
    parser.add_argument("--webhook-url")
    parser.add_argument("--time-scale", type=float, default=1.0)
    parser.add_argument("--exit-with-stdin", action="store_true")
    options = vars(parser.parse_args())
    exit_with_stdin = options.pop("exit_with_stdin")

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if exit_with_stdin:
        threading.Thread(
            target=_stop_at_end_of_stdin, args=(stop,), daemon=True
        ).start()
    with StubClerk(**options) as stub:
        shown = {name: getattr(stub, name) for name in _SHOWN}
        print(json.dumps(shown | {"users": stub.count, "pid": os.getpid()}), flush=True)
        stop.wait()


def _stop_at_end_of_stdin(stop: threading.Event) -> None:
    # The descriptor, not sys.stdin: a daemon thread that holds that one's lock when
    # the interpreter ends is a fatal error.
    while os.read(0, 1024):
        pass
    stop.set()


if __name__ == "__main__":
    main()
