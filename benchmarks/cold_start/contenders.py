"""The functions that are started, and the ways in which each is."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from benchmarks.cold_start.emulator import RUNTIME_PYTHON, Deployment
from benchmarks.scenarios import ROOT

Who = Literal["clerksync", "naive"]
_WHO: Final[tuple[Who, ...]] = ("clerksync", "naive")
FUNCTIONS: Final = ("webhook", "self-sync", "bulk-sync")
"""Those that the naive page of glue code has as well."""
MIGRATE: Final = "migrate"
EMPTY: Final = "empty"

_HERE: Final = Path(__file__).parent
_BUILT: Final = ROOT / ".aws-sam" / "cold"
_LAYERS: Final[dict[str, Path]] = {
    "clerksync": _BUILT / "ClerksyncLayer" / "python",
    "naive": ROOT / ".venv-ric" / "naive",
}
_LOGICAL_IDS: Final = {
    "webhook": "WebhookFunction",
    "self-sync": "SelfSyncFunction",
    "bulk-sync": "BulkSyncFunction",
    MIGRATE: "MigrateFunction",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A function, by whom, and how it is started."""

    function: str
    """`empty` is nobody's."""
    who: Who = "clerksync"
    secret: bool = True
    """Whether the settings are in Secrets Manager, else in the environment."""
    compiled: bool = False
    """Whether the layer has bytecode; `sam build` ships none."""
    staged: bool = False
    """Whether it tells where its time went, which costs time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One process."""

    case: Case
    round: int
    first_ms: float
    second_ms: float
    stages: dict[str, float]


def cases() -> Iterator[Case]:
    """In the order of the first round; neighbours are compared with each other."""
    yield Case(function=EMPTY)
    for function in FUNCTIONS:
        for secret in (True, False):
            for compiled in (False, True):
                for who in _WHO:
                    yield Case(
                        function=function, who=who, secret=secret, compiled=compiled
                    )
        for compiled in (False, True):
            for who in _WHO:
                yield Case(function=function, who=who, compiled=compiled, staged=True)
    for compiled in (False, True):
        yield Case(function=MIGRATE, compiled=compiled)


class Deployments:
    """What Lambda would have of each case; layers with bytecode are made in `folder`.

    Raises FileNotFoundError where nothing has been built.
    """

    def __init__(self, folder: Path) -> None:
        self._layers: dict[tuple[str, bool], Path] = {}
        for who, layer in _LAYERS.items():
            if not layer.is_dir():
                raise FileNotFoundError(f"{layer} is not there: call make bench-cold")
            assert not any(layer.rglob("*.pyc")), f"{who}'s layer has bytecode"
            self._layers[who, False] = layer
            self._layers[who, True] = _compiled(layer, folder / who)

    def of(self, case: Case, environment: dict[str, str]) -> Deployment:
        if case.function == EMPTY:
            return Deployment(folder=_HERE / "empty", layers=(), environment={})
        name = "handler"
        if case.who == "naive":
            folder = _HERE / "naive"
            name = "bulk_handler" if case.function == "bulk-sync" else name
        else:
            folder = _BUILT / _LOGICAL_IDS[case.function]
        layers = [self._layers[case.who, case.compiled]]
        handler = f"app.{name}"
        if case.staged:
            layers.append(_HERE / "probe")
            handler, environment = (
                "stages.handler",
                environment | {"TIMED_HANDLER": name},
            )
        return Deployment(
            folder=folder, layers=layers, handler=handler, environment=environment
        )


def _compiled(layer: Path, folder: Path) -> Path:
    """A copy with bytecode that no timestamp can make stale: SAM zips without them."""
    shutil.copytree(layer, folder)
    command = [str(RUNTIME_PYTHON), "-m", "compileall", "-q", "-j", "0"]
    command += ["--invalidation-mode", "unchecked-hash", "-s", str(folder)]
    # Some packages hold templates that are no Python; their failure is none of ours.
    subprocess.run(
        [*command, "-p", "/opt/python", str(folder)],
        check=False,
        capture_output=True,
        env={"PATH": os.environ["PATH"]},
    )
    assert any(folder.rglob("*.pyc")), "nothing was compiled"
    return folder


def answered(case: Case, answer: Any, users: int) -> bool:
    """Whether it did its job; migrate tells that elsewhere."""
    if case.function == MIGRATE:
        return answer is None
    if case.function == "bulk-sync":
        return bool(answer["status"] == "completed" and answer["fetched"] == users)
    return bool(answer["statusCode"] == 200 and '"success"' in answer["body"])
