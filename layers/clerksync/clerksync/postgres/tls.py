"""TLS for Postgres: the server's certificate is verified unless the URL says otherwise.

libpq's own default verifies nothing, and would go on without encryption.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_VERIFYING: Final = frozenset({"verify-ca", "verify-full"})
_RDS: Final = ".rds.amazonaws.com"


def tls_parameters(given: Mapping[str, str]) -> dict[str, str]:
    """What to add to connection parameters so that a server is verified.

    Nothing for a socket or this machine itself, and nothing in place of what is given:
    `sslmode=require` encrypts and trusts anybody, `disable` does neither.
    """
    mode = given.get("sslmode") or os.environ.get("PGSSLMODE")
    hosts = (given.get("host") or given.get("hostaddr") or "").split(",")
    if mode is None and all(is_here(host) for host in hosts):
        return {}
    added = {} if mode else {"sslmode": "verify-full"}
    root = given.get("sslrootcert") or os.environ.get("PGSSLROOTCERT")
    # "system" means files that psycopg's own OpenSSL looks for in vain.
    if (mode is None or mode in _VERIFYING) and root in {None, "system"}:
        added["sslrootcert"] = _authorities(hosts)
    return added


def is_here(host: str) -> bool:
    """Whether that is this machine, or a socket on it."""
    return host in {"", "localhost", "::1"} or host.startswith(("/", "@", "127."))


def _authorities(hosts: list[str]) -> str:
    """The file of authorities to trust: RDS has its own, but RDS Proxy has not."""
    if all(host.endswith(_RDS) and ".proxy-" not in host for host in hosts):
        return str(Path(__file__).with_name("rds-ca.pem"))
    import certifi  # noqa: PLC0415 - not for who has no need of it

    return certifi.where()
