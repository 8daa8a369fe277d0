"""What self-sync was asked and answered, for whoever looks at the page."""

import json
import time
from collections import deque
from contextlib import suppress
from typing import Any, Final

from local.page.access import Answer, Event
from local.stack.gateway import Handler, Routes

_PATHS: Final = ("/api/users/sync", "/api/user/sync")
_KEPT: Final = 20


class SelfSyncs:
    """The newest first; ids and statuses, nothing else of a user."""

    def __init__(self, key: str) -> None:
        """`key` is the column that holds the Clerk id, in the row that is answered."""
        self.changes = 0
        self._key = key
        self._kept: deque[dict[str, Any]] = deque(maxlen=_KEPT)

    def newest(self) -> list[dict[str, Any]]:
        return list(self._kept)

    def watched(self, routes: Routes) -> Routes:
        """The same routes, of which self-sync is written down here."""
        handlers = {handler for (_, path), handler in routes.items() if path in _PATHS}
        watched = {handler: self._watched(handler) for handler in handlers}
        return {
            route: watched.get(handler, handler) for route, handler in routes.items()
        }

    def _watched(self, handler: Handler) -> Handler:
        def handle(event: Event, context: object) -> Answer:
            answer = handler(event, context)
            if event["rawPath"] in _PATHS:
                self._note(answer)
            return answer

        return handle

    def _note(self, answer: Answer) -> None:
        body: dict[str, Any] = {}
        with suppress(ValueError):
            body = json.loads(answer["body"])
        self.changes += 1
        self._kept.appendleft(
            {
                "key": str(self.changes),
                "at": round(time.time() * 1000),
                "status": answer["statusCode"],
                "user_id": (body.get("user") or {}).get(self._key),
                "error": body.get("error"),
            }
        )
