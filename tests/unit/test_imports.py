"""What a cold start costs: imports that it must not pay for, and no connection."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FUNCTIONS = sorted(path.parent.name for path in ROOT.glob("functions/*/app.py"))
# Between 150 and 250 ms each, or for laptops and tests only. The empty top of botocore,
# which Powertools looks for, costs nothing; its session does.
EXPENSIVE = {
    "aws_xray_sdk",
    "boto3",
    "botocore.session",
    "clerk_backend_api",
    "local",
    "svix",
}

# In a process of its own, as in Lambda: only the layer and the function's folder.
_IMPORT = """
import json, sys
from pathlib import Path

opened = []
calls = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname"}
sys.addaudithook(lambda name, _: name in calls and opened.append(name))
layer, function = sys.argv[1:]
sys.path[:0] = [function, layer]
import psycopg, urllib3
psycopg.Connection.connect = lambda *_, **__: opened.append("psycopg.connect")
import app
assert Path(app.__file__).parent == Path(function), app.__file__
print(json.dumps({"modules": sorted(sys.modules), "opened": opened,
                  "handler": callable(app.handler)}))
"""


def imported(function: str, **environment: str) -> dict[str, list[str]]:
    """Import a function without any setting; gives what that loaded and opened."""
    command = [sys.executable, "-c", _IMPORT]
    folders = [ROOT / "layers" / "clerksync", ROOT / "functions" / function]
    done = subprocess.run(  # noqa: S603 - this Python, our code
        [*command, *map(str, folders)],
        capture_output=True,
        check=False,
        cwd="/",
        env=environment,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, list[str]] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_cold_start_loads_nothing_expensive_and_connects_to_nobody(
    function: str,
) -> None:
    """Settings and connections are for the first request; boto3 for who needs it."""
    result = imported(function)
    assert result["handler"]
    assert result["opened"] == []
    assert EXPENSIVE & set(result["modules"]) == set()
    assert "clerksync" in result["modules"]


@pytest.mark.parametrize("function", ["self_sync", "webhook"])
def test_a_snapshot_holds_what_is_else_imported_later(function: str) -> None:
    """With SnapStart, what is imported first costs nothing; it connects to nobody."""
    result = imported(function, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start")
    assert result["opened"] == []
    assert "boto3" in result["modules"]
    assert ("jwt" in result["modules"]) == (function == "self_sync")


def test_the_class_for_server_code_costs_a_function_nothing() -> None:
    """Until one is made: all functions import the package that it is in."""
    program = """
import json, sys
before = set(sys.modules)
from clerksync import Clerksync
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    done = subprocess.run(  # noqa: S603 - this Python, our code
        [sys.executable, "-c", program],
        capture_output=True,
        check=True,
        cwd=ROOT / "layers" / "clerksync",
        text=True,
    )
    loaded = {
        name
        for name in json.loads(done.stdout)
        if name.partition(".")[0] not in sys.stdlib_module_names
    }
    assert loaded == {"clerksync", "clerksync.errors"}


def test_nothing_random_is_drawn_from_what_a_snapshot_holds() -> None:
    """Environments restored from it would all draw the same: the seed is a part of it,
    but not the operating system's source."""
    drawn = {
        call
        for path in ROOT.glob("layers/clerksync/clerksync/**/*.py")
        for call in re.findall(r"\b(random|uuid)\.(\w+)", path.read_text("utf-8"))
    }
    assert drawn == {("random", "SystemRandom")}


def test_all_functions_are_looked_at() -> None:
    """A pattern that finds none would pass."""
    assert {"webhook", "self_sync", "bulk_sync"} <= set(FUNCTIONS)
