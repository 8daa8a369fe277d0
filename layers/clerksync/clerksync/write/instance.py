"""Which Clerk instance a table belongs to, and the guard of what writes one user.

The ledger of bulk runs knows the instance from the first run on. An event of a
different one must not be written. The guard is part of the statement that writes, so
that it costs no round trip.
"""

import time
from collections.abc import Sequence
from typing import Any, Final, LiteralString
from weakref import WeakKeyDictionary

import psycopg
from psycopg import sql

from clerksync.errors import InvalidPayloadError
from clerksync.write.staging import one_row

ACCEPTED: LiteralString = """
    SELECT instance_id FROM {runs}
    WHERE instance_id IS NOT NULL
    ORDER BY started_at DESC
    LIMIT 1
"""
"""No row if no run has asked Clerk yet."""

# Postgres evaluates a condition without columns once, before it calls the function.
_GUARDED: LiteralString = """
    SELECT written.* FROM ({call}) AS written WHERE coalesce(({accepted}), %s) = %s
"""
# So long a forced run that has changed the instance may go unnoticed.
_KNOWN_SECONDS: Final = 60.0
_FOREIGN: Final = (
    "The event is of Clerk instance {instance}, but the table holds the users of "
    "{accepted}. Nothing was written. Delete this endpoint in the Clerk dashboard of "
    "{instance}, or give it a deployment with a database of its own. To change "
    "instances, run bulk sync once with force and the new CLERK_SECRET_KEY."
)

# By connection: a new one may lead to a different database.
_Known = tuple[tuple[str, str], float]
_known: WeakKeyDictionary[psycopg.Connection, _Known] = WeakKeyDictionary()


def call_guarded(
    connection: psycopg.Connection,
    call: sql.Composed,
    parameters: Sequence[Any],
    *,
    schema: str,
    instance_id: str,
) -> tuple[Any, ...]:
    """Call a function of the write path, and return its row, if the table is of that
    instance or nobody knows of which. Raise InvalidPayloadError if it is not."""
    known = _known.get(connection)
    if known and known[0] == (schema, instance_id) and time.monotonic() < known[1]:
        return one_row(connection, call, parameters)
    accepted = sql.SQL(ACCEPTED).format(runs=sql.Identifier(schema, "sync_runs"))
    guarded = sql.SQL(_GUARDED).format(call=call, accepted=accepted)
    parameters = [*parameters, instance_id, instance_id]
    row = connection.execute(guarded, parameters, binary=True).fetchone()
    if row is None:
        (owner,) = connection.execute(accepted).fetchone() or ("another one",)
        message = _FOREIGN.format(instance=instance_id, accepted=owner)
        raise InvalidPayloadError(message)
    _known[connection] = (schema, instance_id), time.monotonic() + _KNOWN_SECONDS
    return row
