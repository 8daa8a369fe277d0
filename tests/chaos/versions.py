"""What the results were measured with."""

import platform
from importlib import metadata

import psycopg

_PACKAGES = ("psycopg", "urllib3", "hypothesis")


def versions(connection: psycopg.Connection) -> list[str]:
    postgres = connection.info.parameter_status("server_version")
    packages = [f"{name} {metadata.version(name)}" for name in _PACKAGES]
    return [f"Python {platform.python_version()}", f"Postgres {postgres}", *packages]
