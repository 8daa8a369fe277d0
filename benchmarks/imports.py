"""What a cold start pays for importing a function, against importing everything."""

import os
import subprocess
import sys
from collections.abc import Mapping
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

_ROUNDS: Final = 21
_FUNCTIONS: Final = ("webhook", "self_sync", "bulk_sync")
_EVERYTHING: Final = """
import aws_lambda_powertools.event_handler, aws_lambda_powertools.utilities.parameters
import aws_lambda_powertools.tracing, aws_xray_sdk.core
import boto3, clerk_backend_api, jwt, cryptography.hazmat.primitives.serialization
import psycopg, pydantic, standardwebhooks.webhooks, svix, urllib3
from aws_lambda_powertools import Logger, Metrics, Tracer
"""
_TIMED: Final = """
import time
began = time.perf_counter()
{}
print(time.perf_counter() - began)
"""


def run() -> list[str]:
    """Rows of a Markdown table; each time is of a fresh process, medians of 21.

    All import from bytecode, as `make sam` leaves it in a deployment.
    """
    with TemporaryDirectory() as bytecode:
        return _rows(bytecode)


def _rows(bytecode: str) -> list[str]:
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    programs = {f: f"import functions.{f}.app" for f in _FUNCTIONS}
    programs["everything together"] = _EVERYTHING
    times: dict[str, list[float]] = {name: [] for name in programs}
    for program in programs.values():
        _seconds(program, environment)
    for _ in range(_ROUNDS):
        for name, program in programs.items():
            times[name].append(_seconds(program, environment))
    medians = {name: median(values) * 1000 for name, values in times.items()}
    whole = medians["everything together"]
    return [
        "| import of | ms | times everything |",
        "|---|---:|---:|",
        *(f"| {n} | {ms:.0f} | {ms / whole:.2f} |" for n, ms in medians.items()),
    ]


def _seconds(program: str, environment: Mapping[str, str]) -> float:
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _TIMED.format(program)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(result.stdout.split()[-1])
