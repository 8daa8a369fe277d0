"""DATABASE_URL as applications have it, and as libpq takes it."""

import re
from typing import Final

# What Prisma, poolers and other drivers read from the URL. libpq refuses what it does
# not know, and none of it concerns us: nothing is prepared on the server, and the
# schema is the mapping's, or CLERKSYNC_SCHEMA.
# https://www.prisma.io/docs/orm/overview/databases/postgresql#arguments
_OF_OTHERS: Final = frozenset(
    {
        "schema",
        "pgbouncer",
        "connection_limit",
        "pool_timeout",
        "socket_timeout",
        "statement_cache_size",
        "single_use_connections",
        "max_connection_lifetime",
        "max_idle_connection_lifetime",
        "sslaccept",
        "sslidentity",
        "uselibpqcompat",
        "supa",
        "workaround",
    }
)
# Compiled when they are used: most processes never do.
_UNKNOWN: Final = (
    r'invalid (?:URI query parameter|connection option):? "([\w.-]{1,40})"'
)
_WRONG: Final = r"invalid (\w+) value:"


def without_other_drivers_parameters(url: str) -> str:
    """The same URL without parameters that are meant for another driver."""
    place, question_mark, query = url.partition("?")
    if not (question_mark and "://" in place):
        return url
    kept = [
        parameter
        for parameter in query.split("&")
        if parameter.partition("=")[0].lower() not in _OF_OTHERS
    ]
    return f"{place}?{'&'.join(kept)}" if kept else place


def parameter_complaint(libpq_message: str) -> str | None:
    """What is wrong with a parameter, if that is what libpq complains of: its name is
    told, and no value."""
    if found := re.search(_UNKNOWN, libpq_message):
        return (
            "DATABASE_URL has a parameter that Postgres's own library does not know: "
            f"{found[1]}. Mend its spelling, or take it out."
        )
    if found := re.search(_WRONG, libpq_message):
        return (
            f"DATABASE_URL has a value for {found[1]} that Postgres's own library does "
            "not know: mend its spelling."
        )
    return None
