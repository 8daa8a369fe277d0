"""Tiers and rate limits: a token bucket for each user, kept by the database.

`consume_rate_limit` is a function of the database, so that whatever can ask SQL can ask
it. It is composed from the mapping, as the write path is. Its name and its arguments
are for applications to rely on: they stay.
"""

from collections.abc import Iterator
from typing import Final, LiteralString

import psycopg
from psycopg import sql

from clerksync.errors import TableMisfitError
from clerksync.mapping.table import TableMapping
from clerksync.schema.table_fit import Misfit
from clerksync.schema.tiers import fill_tiers
from clerksync.write.identifiers import identifiers
from clerksync.write.rate_limits import FUNCTION

_MADE_BY_US: LiteralString = "Made by clerksync migrate, which overwrites it."
SCRIPT: Final = "0003_tiers.sql"
"""Applied where there are rate limits."""
_COLUMNS: Final = {
    "tiers": ("name", "capacity", "refill_per_second"),
    "rate_limits": ("user_id", "tokens", "refilled_at"),
}
_MISSING: LiteralString = """
    SELECT needed.name
    FROM unnest(%s::text[]) AS needed (name)
    WHERE NOT EXISTS (
        SELECT FROM pg_attribute AS a
        WHERE a.attrelid = to_regclass(%s) AND a.attname = needed.name
          AND NOT a.attisdropped
    )
"""

# What is in bucket `b` at `_now`: filled up lazily, and never above the capacity.
# Another transaction's clock may be ahead of ours, which waited: no time has passed.
_AVAILABLE: LiteralString = """least(
            _capacity,
            coalesce(
                b.tokens + _refill
                * greatest(date_part('epoch', _now - b.refilled_at), 0),
                _capacity
            )
        )"""

# The bucket is one UPDATE: who waits for it judges the row anew that the one before
# has left, and a refusal writes nothing. The rest is for the others to be answered.
# $1 and $2 are the arguments: their names could be columns of the application.
_BODY: LiteralString = """
-- {made_by_us}
DECLARE
    _now timestamptz := clock_timestamp();
    _capacity double precision;
    _refill double precision;
    _who text;
BEGIN
    IF coalesce($1, '') = '' THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'consume_rate_limit: user_id is missing';
    END IF;
    -- NaN is above all numbers.
    IF $2 IS NULL OR $2 <= 0 OR $2 = 'NaN' THEN
        RAISE invalid_parameter_value USING
            MESSAGE = 'consume_rate_limit: cost must be a number above 0';
    END IF;

    SELECT t.capacity, t.refill_per_second INTO _capacity, _refill
    FROM {tiers} AS t
    WHERE t.name IN ({own_tier}, {default_tier})
    ORDER BY t.name = {default_tier}
    LIMIT 1;
    IF NOT FOUND THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = 'consume_rate_limit: the default tier is not in the table tiers',
            HINT = 'Insert it, or run clerksync migrate.';
    END IF;

    FOR _attempt IN 1 .. 9 LOOP
        UPDATE {buckets} AS b
        SET tokens = {available} - $2, refilled_at = greatest(b.refilled_at, _now)
        WHERE b.user_id = $1 AND {available} >= $2
        RETURNING b.tokens INTO remaining;
        allowed := FOUND;
        IF allowed THEN
            retry_after_ms := 0;
            RETURN;
        END IF;

        SELECT {available} INTO remaining FROM {buckets} AS b WHERE b.user_id = $1;
        IF FOUND THEN
            -- Made by somebody else, or filled, since the UPDATE looked.
            CONTINUE WHEN remaining >= $2;
            IF $2 <= _capacity AND _refill > 0 THEN
                -- The next whole millisecond: until then, rounding may refuse.
                retry_after_ms := least(
                    floor(greatest($2 - remaining, 0) / _refill * 1000) + 1, 1e15
                );
            END IF;
            remaining := greatest(remaining, 0);
            RETURN;
        END IF;

        _who := coalesce(
            (SELECT CASE WHEN {live} THEN 'present' ELSE 'deleted' END
             FROM {users} AS u WHERE u.{key} = $1),
            (SELECT 'deleted' FROM {sync_state} AS s
             WHERE s.clerk_id = $1 AND s.deleted_at IS NOT NULL),
            'unknown'
        );
        IF _who = 'present' THEN
            -- A row from before clerksync: the second attempt finds its bucket.
            BEGIN
                INSERT INTO {buckets} (user_id) VALUES ($1) ON CONFLICT DO NOTHING;
                CONTINUE;
            EXCEPTION WHEN foreign_key_violation THEN
                _who := 'deleted';  -- in between
            END;
        END IF;
        allowed := _who = 'unknown' AND $2 <= _capacity;
        remaining := CASE
            WHEN _who = 'deleted' THEN 0
            WHEN allowed THEN _capacity - $2
            ELSE _capacity
        END;
        IF allowed THEN
            retry_after_ms := 0;
        END IF;
        RETURN;
    END LOOP;
    RAISE object_not_in_prerequisite_state USING
        MESSAGE = 'consume_rate_limit: the bucket can neither be seen nor made',
        HINT = 'Look at the policies and triggers of rate_limits.';
END
"""


def definition(mapping: TableMapping, schema: str, default_tier: str) -> sql.Composed:
    """`consume_rate_limit(user_id, cost)` of a mapping. Pure: it touches no database.

    It runs with the rights of its caller, needs no search_path, and has its plans kept
    as every PL/pgSQL function has.
    """
    return sql.SQL(
        "CREATE OR REPLACE FUNCTION {} ("
        "user_id text, cost double precision DEFAULT 1, OUT allowed boolean,"
        " OUT remaining double precision, OUT retry_after_ms bigint"
        ") LANGUAGE plpgsql AS {}"
    ).format(
        sql.Identifier(schema, FUNCTION),
        sql.Literal(_body(mapping, schema, default_tier)),
    )


def install(
    connection: psycopg.Connection,
    mapping: TableMapping,
    schema: str,
    default_tier: str,
) -> Iterator[str]:
    """Create the function, or bring it up to date; gives its name if it was not.

    A table of tiers that is empty is filled, and a default tier that is not in it gets
    there with the numbers of FREE. Raises TableMisfitError when the application has a
    function by that name.
    """
    fill_tiers(connection, schema, default_tier)
    found = _installed(connection, schema)
    if found == _body(mapping, schema, default_tier):
        return
    if found is not None and _MADE_BY_US not in found:
        message = (
            f"There is a function {_signature(schema)} that clerksync did not make. "
            "Rename it, or name another schema in CLERKSYNC_SCHEMA."
        )
        raise TableMisfitError(message)
    connection.execute(definition(mapping, schema, default_tier))
    yield FUNCTION


def is_up_to_date(
    connection: psycopg.Connection,
    mapping: TableMapping,
    schema: str,
    default_tier: str,
) -> bool:
    """Whether there is nothing for `install` to do with the function."""
    return _installed(connection, schema) == _body(mapping, schema, default_tier)


def misfits(connection: psycopg.Connection, schema: str) -> Iterator[Misfit]:
    """What `consume_rate_limit` misses in tables that the application has made."""
    for table, columns in _COLUMNS.items():
        name = sql.Identifier(schema, table).as_string()
        for (column,) in connection.execute(_MISSING, [list(columns), name]):
            reason = f'column "{column}" of {name} does not exist'
            yield Misfit(table, column, reason)


def _signature(schema: str) -> str:
    return f"{sql.Identifier(schema, FUNCTION).as_string()}(text, double precision)"


def _installed(connection: psycopg.Connection, schema: str) -> str | None:
    found = connection.execute(
        "SELECT prosrc FROM pg_proc WHERE oid = to_regprocedure(%s)",
        [_signature(schema)],
    ).fetchone()
    return None if found is None else str(found[0])


def _body(mapping: TableMapping, schema: str, default_tier: str) -> str:
    names = identifiers(mapping, schema)
    own_tier: sql.Composable = sql.SQL("NULL")
    if mapping.tier:
        own_tier = sql.SQL(
            "(SELECT u.{tier}::text FROM {users} AS u WHERE u.{key} = $1)"
        ).format(**names)
    return (
        sql.SQL(_BODY)
        .format(
            made_by_us=sql.SQL(_MADE_BY_US),
            available=sql.SQL(_AVAILABLE),
            default_tier=sql.Literal(default_tier),
            own_tier=own_tier,
            tiers=sql.Identifier(schema, "tiers"),
            buckets=sql.Identifier(schema, "rate_limits"),
            **names,
        )
        .as_string()
    )
