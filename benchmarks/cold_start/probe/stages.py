"""The handler of `app`, and where its time went. Runs inside the emulated function.

Only runs that tell stages load this; the times that are compared are of `app` itself.
"""

import builtins
import importlib
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

# Whatever is there of these is timed; the first that is entered counts.
_TARGETS: Final = {
    "clerksync.settings.secret_cache:Secret._read": "secret",
    "boto3:client": "secret",
    "botocore.client:BaseClient._make_api_call": "secret",
    "psycopg:connect": "connect",
    "clerksync.postgres.impatient_connection:ImpatientConnection.connect": "connect",
    "urllib3.poolmanager:PoolManager.request": "clerk",
    "httpx:Client.send": "clerk",
    "urllib.request:urlopen": "clerk",
}
_MAIN: Final = threading.get_ident()


class Stages:
    """Milliseconds of this thread by stage; an inner stage's are not the outer's."""

    def __init__(self) -> None:
        self.ms: dict[str, float] = {}
        self._open: list[str] = []
        self._since = time.perf_counter()

    @property
    def current(self) -> str | None:
        return self._open[-1] if self._open else None

    def enter(self, stage: str) -> None:
        self._charge()
        self._open.append(stage)

    def leave(self) -> None:
        self._charge()
        self._open.pop()

    def _charge(self) -> None:
        now = time.perf_counter()
        if self._open:
            elapsed = (now - self._since) * 1000
            self.ms[self._open[-1]] = self.ms.get(self._open[-1], 0) + elapsed
        self._since = now


stages = Stages()
_waiting = dict(_TARGETS)


def _timed(
    function: Callable[..., Any], stage: str, within: frozenset[str | None]
) -> Callable[..., Any]:
    """The function, in a stage of its own when called within one of those."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != _MAIN or stages.current not in within:
            return function(*args, **kwargs)
        stages.enter(stage)
        try:
            return function(*args, **kwargs)
        finally:
            stages.leave()

    return wrapper


def _watch(import_: Callable[..., Any]) -> Callable[..., Any]:
    timed = _timed(import_, "imports", frozenset({None, "work"}))

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        module = timed(*args, **kwargs)
        for target, stage in list(_waiting.items()):
            _wrap(target, stage)
        return module

    return wrapper


def _wrap(target: str, stage: str) -> None:
    name, _, path = target.partition(":")
    owner: Any = sys.modules.get(name)
    *parents, attribute = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent, None)
    function = getattr(owner, attribute, None)
    if function is not None:
        del _waiting[target]
        wrapped = _timed(function, stage, frozenset({None, "imports", "work"}))
        setattr(owner, attribute, wrapped)


builtins.__import__ = _watch(builtins.__import__)
importlib.import_module = _watch(importlib.import_module)

_app = importlib.import_module("app")


def handler(event: Any, context: Any) -> dict[str, Any]:
    stages.enter("work")
    answer = getattr(_app, os.environ["TIMED_HANDLER"])(event, context)
    stages.leave()
    return {"answer": answer, "stages": stages.ms}
