"""IDs that clerksync generates for an application's own rows."""

from typing import Final, LiteralString

from psycopg import sql

from clerksync.mapping.table import OwnId

# Ids of 25 characters, as Prisma's cuid() makes them: by time, then random. And UUIDs
# of version 7 for a Postgres before 18: the time in the first 48 bits.
_GENERATED: Final[dict[str, LiteralString]] = {
    "cuid": """
        'c' || lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint),
                    12, '0')
            || left(replace(gen_random_uuid()::text, '-', ''), 12)
    """,
    "uuid4": "gen_random_uuid()",
    "uuid7": """
        encode(set_bit(set_bit(overlay(
            uuid_send(gen_random_uuid()) PLACING substring(
                int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3
            ) FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid
    """,
}


def own_id_of(own_id: OwnId | None) -> list[tuple[sql.Identifier, sql.Composable]]:
    """Return the column of a generated ID with its value, unless the table fills it."""
    if own_id is None or own_id.generated == "database":
        return []
    return [(sql.Identifier(own_id.column), sql.SQL(_GENERATED[own_id.generated]))]
