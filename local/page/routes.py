"""The routes of the page: what it is made of, what it reads, and what it does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from clerksync.settings.environment import Settings
from local.page.access import Answer, Event, guarded, refused
from local.page.actions import Actions
from local.page.self_syncs import SelfSyncs
from local.page.state import Reading
from local.stack.gateway import Routes
from local.stub_clerk.stub import StubClerk

_FOLDER: Final = Path(__file__).parent
SIGN_IN: Final = _FOLDER / "build" / "signin.js"
"""The sign-in with React and the hook: bundled by `make` where Node.js is there."""
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FILES: Final = (
    *sorted(_FOLDER.glob("*.css")),
    *sorted(_FOLDER.glob("*.js")),
    _FOLDER / "icon.svg",
    SIGN_IN,
)


class Page:
    """Routes for the gateway. With a stub Clerk the page acts; without, it only reads.

    Close it when nobody asks any more: it holds connections to the database.
    """

    def __init__(self, settings: Settings, stub: StubClerk | None = None) -> None:
        self._self_syncs = SelfSyncs(settings.mapping.key)
        self._reading = Reading(settings, stub, self._self_syncs, sign_in=SIGN_IN)
        self._actions = None if stub is None else Actions(settings, stub)

    def routes(self, functions: Routes) -> Routes:
        """Those of the functions, of which self-sync is watched, and the page's."""
        routes = {
            **self._self_syncs.watched(functions),
            ("GET", "/"): guarded(_file(_FOLDER / "index.html")),
            **{("GET", f"/page/{f.name}"): guarded(_file(f)) for f in _FILES},
            ("GET", "/page/state"): guarded(self._reading.state),
            ("GET", "/page/user"): guarded(self._reading.user),
        }
        if self._actions is not None:
            for name, act in self._actions.by_name().items():
                routes["POST", f"/page/{name}"] = guarded(act, acts=True)
        return routes

    def close(self) -> None:
        self._reading.close()
        if self._actions is not None:
            self._actions.close()


def _file(path: Path) -> Callable[[Event], Answer]:
    def answer(_event: Event) -> dict[str, Any]:
        try:
            body = path.read_text("utf-8")
        except FileNotFoundError:
            return refused(404, f"{path.name} has not been made.")
        headers = {"content-type": _TYPES[path.suffix]}
        return {"statusCode": 200, "headers": headers, "body": body}

    return answer
