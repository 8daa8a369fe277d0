"""Why there is no connection to Postgres, and what to do about it.

libpq reports one text for everything. A response of the server is in it with a severity
and two spaces, as in `failed: FATAL:  sorry, too many clients already`; no message of
libpq's own looks like that.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

import psycopg

from clerksync.settings.database_url import parameter_complaint

STANDBY: Final = (
    "DATABASE_URL leads to a read replica, where nothing can be written: use the "
    "address of the primary."
)
STATEMENT_POOLING: Final = (
    "The pooler in DATABASE_URL pools statements, but clerksync needs transactions: "
    "set pool_mode = transaction in the pooler, or use a different address."
)
_UNREACHABLE: Final = (
    "Postgres cannot be reached: check the host and port of DATABASE_URL, that "
    "the server runs, and that this network may reach it."
)
_NOT_LET_IN: Final = (
    "Postgres lets nobody in from here: its pg_hba.conf has no line for this host with "
    "the role and database of DATABASE_URL."
)
_NOT_TRUSTED: Final = (
    "Postgres shows no TLS certificate that can be trusted. Name its authority in "
    "DATABASE_URL (?sslrootcert=FILE) or, where the network itself can be trusted, say "
    "?sslmode=require or ?sslmode=disable."
)
_NO_TLS: Final = (
    "Postgres has no TLS, which DATABASE_URL asks for. Where the network itself can be "
    "trusted, say ?sslmode=disable."
)
_NEEDS_TLS: Final = (
    "Postgres accepts encrypted connections only: remove sslmode from DATABASE_URL, or "
    "say ?sslmode=require."
)
_REFUSED: Final = "Postgres refused user or password: check DATABASE_URL."
_NONE_SUCH: Final = "Postgres has no such database or role: check DATABASE_URL."
_FULL: Final = (
    "Postgres takes no more connections: name a pooler in DATABASE_URL, raise "
    "max_connections, or lower ReservedConcurrency."
)
_POOL_BUSY: Final = (
    "The pooler in DATABASE_URL had no free connection to Postgres in time: let it "
    "open more of them, or lower ReservedConcurrency."
)
_NOT_READY: Final = (
    "Postgres is starting, stopping or recovering, and accepts no connections yet. Try "
    "again in a minute. If that does not help, read the log of the server."
)
_CLOSED: Final = (
    "The database in DATABASE_URL accepts no connections. As a superuser, run ALTER "
    "DATABASE … ALLOW_CONNECTIONS true, or use a different database."
)
_NO_LOGIN: Final = (
    "The role in DATABASE_URL must not log in: run ALTER ROLE … LOGIN, or use a "
    "different role."
)
_NO_CONNECT: Final = (
    "The role in DATABASE_URL must not connect to that database: run GRANT CONNECT ON "
    "DATABASE … TO …, or use a different role."
)
_UNKNOWN_PROJECT: Final = (
    "The host in DATABASE_URL does not know that project or role. Copy the connection "
    "string from your provider's dashboard again, with its host and user."
)
_NO_CREDENTIALS: Final = (
    "RDS Proxy has no credentials for the role in DATABASE_URL: add a secret with its "
    "user and password to the proxy, or use a different role."
)
_PARAMETER: Final = (
    'The pooler in DATABASE_URL refuses a startup parameter: "{said}". Remove it from '
    "DATABASE_URL; with ALTER ROLE … SET it applies to the role instead."
)
_PLAN: Final = (
    'The provider of the database refused the connection: "{said}". Check in its '
    "dashboard that the project is active and within its limits."
)
_BEHIND_POOLER: Final = (
    'The pooler in DATABASE_URL cannot connect to Postgres: "{said}". Check that '
    "Postgres runs, and the user and password that the pooler has for it."
)
_OTHER: Final = (
    'Postgres refused the connection: "{said}". Fix the cause in DATABASE_URL or at '
    "the provider of the database, then try again."
)

_Messages = tuple[tuple[tuple[str, ...], str], ...]
"""Words, one of which must be there, and what to say then."""

# By what servers and poolers say, in lower case. The first that fits counts.
_RESPONSES: Final[_Messages] = (
    (("pg_hba.conf",), _NOT_LET_IN),
    (("unsupported startup parameter", "command-line options"), _PARAMETER),
    (("no credentials for the role",), _NO_CREDENTIALS),
    (("authentication failed", "authentication error", "wrong password"), _REFUSED),
    (("tenant or user not found", "project not found", "endpoint"), _UNKNOWN_PROJECT),
    (
        (
            "ssl required",
            "ssl connection is required",
            "requires tls",
            "requires ssl",
            "connection is insecure",
            "tls required",
        ),
        _NEEDS_TLS,
    ),
    (
        (
            "too many",
            "connection slots",
            "no more connections",
            "max client",
            "connections exceeded",
            "connection limit",
        ),
        _FULL,
    ),
    (("waiting to acquire", "query_wait_timeout"), _POOL_BUSY),
    (
        (
            "starting up",
            "shutting down",
            "recovery",
            "not yet accepting connections",
            "system is not accepting",
            "database is not accepting",
        ),
        _NOT_READY,
    ),
    (("not currently accepting connections",), _CLOSED),
    (("not permitted to log in",), _NO_LOGIN),
    (("permission denied for database",), _NO_CONNECT),
    (
        ("server login", "connect to server", "compute node", "server conn"),
        _BEHIND_POOLER,
    ),
    (("does not exist", "no such database", "no such user"), _NONE_SUCH),
    (("quota", "exceeded", "suspend", "paused", "inactive", "disabled"), _PLAN),
)
# By what libpq says when there is no response, or none that it accepts.
_WITHOUT_RESPONSE: Final[_Messages] = (
    (("no password", "authentication failed"), _REFUSED),
    (("does not support SSL",), _NO_TLS),
    # Whoever listens there does not speak TLS, or no more.
    (("wrong version number", "unexpected eof", "packet length"), _UNREACHABLE),
    (("certificate", "SSL error"), _NOT_TRUSTED),
    (("session is read-only", "hot standby"), STANDBY),
)

# Compiled when they are used: most processes never do.
_RESPONSE: Final = r"failed: [^\s:]+:  ([^\n]+)"
_ADDRESS: Final = (
    r"(?i)(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])"
    r"|(?<![\w:])[\da-f]*(?::[\da-f]*){2,7}(?!\w)"
)
_SHORTEST_SECRET: Final = 3
_LONGEST: Final = 300
# What these say is the same for everybody.
_NOT_PRIVATE: Final = frozenset({"sslmode", "application_name", "client_encoding"})


def reason(error: psycopg.Error, given: Mapping[str, str]) -> str:
    """Return what a person needs to know, without any value that the URL has given."""
    text = str(error)
    if complaint := parameter_complaint(text):
        return complaint
    if isinstance(error, psycopg.ProgrammingError):
        return "DATABASE_URL is not a Postgres URL (postgresql://user:…@host/database)."
    # Of several addresses, one that responds says more than one that does not.
    responses = re.findall(_RESPONSE, text)
    # Once there is a connection, psycopg keeps the server's words apart.
    said = responses[-1] if responses else error.diag.message_primary
    if not said:
        return _first_that_fits(_WITHOUT_RESPONSE, text) or _UNREACHABLE
    message = _first_that_fits(_RESPONSES, said.lower()) or _OTHER
    return message.format(said=_quotable(said, {**given, **_used(error)}))


def _first_that_fits(messages: _Messages, text: str) -> str | None:
    fitting = (m for words, m in messages if any(word in text for word in words))
    return next(fitting, None)


def _used(error: psycopg.Error) -> dict[str, str]:
    """Return what libpq has used, from its environment variables, too."""
    if error.pgconn is None:
        return {}
    names = ("user", "db", "password", "host", "hostaddr")
    return {f"used {n}": getattr(error.pgconn, n, b"").decode() for n in names}


def _quotable(said: str, given: Mapping[str, str]) -> str:
    """Return a server's words without addresses and values of the URL."""
    for value in sorted(_private(given), key=len, reverse=True):
        said = re.sub(
            rf"(?<!\w){re.escape(value)}(?!\w)", "…", said, flags=re.IGNORECASE
        )
    said = re.sub(_ADDRESS, "…", said)
    return "".join(c for c in said if c.isprintable())[:_LONGEST].rstrip(". ")


def _private(given: Mapping[str, str]) -> Iterator[str]:
    """Yield each value of the URL, and the parts of it that servers quote: the project
    in `postgres.project`, or the endpoint that a host's name begins with."""
    for name, value in given.items():
        if name in _NOT_PRIVATE:
            continue
        parts = {value, *value.split(",")}
        if name in {"user", "host"}:
            parts |= {part.partition(".")[0] for part in parts}
            parts |= {part.rpartition(".")[2] for part in parts if name == "user"}
        yield from (part for part in parts if len(part) >= _SHORTEST_SECRET)
