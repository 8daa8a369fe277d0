"""The order of the steps, as statemachines/bulk_sync.asl.json has it."""

import json
from typing import Any

from clerksync.postgres.database import Database
from functions.bulk_sync import app

JSON = dict[str, Any]


class Context:
    """What Lambda hands over besides the event, as far as the function looks at it."""

    def __init__(self, seconds: float = 60) -> None:
        self._seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return round(self._seconds * 1000)


class Machine:
    """Whatever goes from step to step is JSON, as between Lambda and Step Functions."""

    def __call__(self, concurrency: int = 5, **request: Any) -> JSON:
        """A whole run; gives its report."""
        plan = self.plan(concurrency, **request)
        if plan["status"] != "running":
            return plan
        return self.finish(plan, [self.walk(plan, part) for part in plan["parts"]])

    def plan(self, concurrency: int = 5, **request: Any) -> JSON:
        return self.take(
            {"step": "plan", "request": request, "concurrency": concurrency}
        )

    def walk(self, plan: JSON, part: JSON) -> JSON:
        """A window to its end, or until it fails."""
        part = self.walk_once(plan, part)
        while part["status"] == "unfinished":
            part = self.walk_once(plan, part)
        return part

    def walk_once(self, plan: JSON, part: JSON) -> JSON:
        return self.take({"step": "window", "run": plan["run"], "part": part})

    def finish(self, plan: JSON, parts: list[JSON]) -> JSON:
        return self.take({"step": "finish", "run": plan["run"], "parts": parts})

    def take(self, event: JSON) -> JSON:
        answer = app.handler(json.loads(json.dumps(event)), Context())
        taken: JSON = json.loads(json.dumps(answer))
        return taken


def failed(part: JSON) -> JSON:
    """What the state machine makes of a window that raised again and again."""
    reason = "A window failed: Lambda.Unknown."
    return {"status": "failed", "reason": reason, "counts": part["counts"]}


class ElsewhereMachine(Machine):
    """Another execution environment: with a connection of its own."""

    def __init__(self, url: str) -> None:
        self._database = Database(lambda: url)

    def take(self, event: JSON) -> JSON:
        before, app.database = app.database, self._database
        try:
            return super().take(event)
        finally:
            app.database = before
            self._database.close()
