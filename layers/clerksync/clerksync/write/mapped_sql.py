"""What a mapping puts into the rules of `upsert_sql`: its names, and its columns as
lists. Where a table lacks something, the part that is about it is empty."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, LiteralString

from psycopg import sql

from clerksync.mapping.table import Companion, Constant, OwnId, TableMapping
from clerksync.write import email_sql
from clerksync.write.column_values import (
    after_soft_deletion,
    compared,
    of_type,
    tier_parts,
)
from clerksync.write.email_rule import EmailRule, email_parts
from clerksync.write.identifiers import companion_table, identifiers
from clerksync.write.unlinked_sql import held_back_parts, may_be_unlinked
from clerksync.write.upsert_sql import MANAGE_TIER

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


def incoming_names(mapping: TableMapping) -> list[str]:
    """What the mapped columns are called on their way in."""
    return [
        "email" if column.name == mapping.email else f"v{number}"
        for number, column in enumerate(mapping.columns)
    ]


def rules_of(mapping: TableMapping) -> dict[str, LiteralString]:
    """Rules that only some tables need, with holes for the parts."""
    unique, always = mapping.email_unique, mapping.email_not_null
    settle = email_sql.KEEP if always else email_sql.GIVE_WAY
    return {
        "set_aside": email_sql.SET_ASIDE if unique and always else "",
        "find_holders": email_sql.FIND_HOLDERS if unique else "",
        "lock_all": email_sql.LOCK_ALL if unique else "",
        "settle_emails": settle if unique else "",
        "in_order": email_sql.IN_ORDER if unique else "",
        "manage_tier": MANAGE_TIER if mapping.tier else "",
    }


def parts_of(
    mapping: TableMapping, schema: str, rule: EmailRule | None = None
) -> dict[str, sql.Composable]:
    """Names, lists of columns, and conditions on `u`, the row, and `i`, the user."""
    names = identifiers(mapping, schema)
    incoming: list[sql.Composable] = [
        sql.SQL("i.{}").format(sql.Identifier(n)) for n in incoming_names(mapping)
    ]
    written = [
        of_type(column.name, value, names["users"]) if column.values else value
        for value, column in zip(incoming, mapping.columns, strict=True)
    ]
    names = names | tier_parts(mapping, names["users"])
    columns = [sql.Identifier(column.name) for column in mapping.columns]
    now = [sql.Identifier(n) for n in (mapping.created_at, mapping.updated_at) if n]
    touched = [sql.Identifier(mapping.updated_at)] if mapping.updated_at else []
    tier = [sql.Identifier(mapping.tier)] if mapping.tier else []
    constants = [*_own_id(mapping.own_id), *_constants(mapping.defaults)]
    email = sql.SQL("i.email")
    kept_email = sql.SQL("coalesce(i.email, u.{email})").format(**names)
    references = [sql.Identifier(c.references) for c in mapping.companions]

    def values(email_value: sql.Composable) -> sql.Composed:
        return _joined(
            [
                sql.SQL("i.clerk_id"),
                *(email_value if v == _EMAIL else v for v in written),
                *(names["tier_at_creation"] for _ in tier),
                *(sql.SQL("now()") for _ in now),
                *(value for _, value in constants),
            ]
        )

    return (
        names
        | email_parts(names, rule)
        | held_back_parts(mapping, names)
        | _conditions(mapping, names)
        | {
            "inserted": _joined(
                [names["key"], *columns, *tier, *now, *(name for name, _ in constants)]
            ),
            "new_values": values(email),
            "values": values(kept_email if mapping.email_not_null else email),
            "resolved": _joined(
                sql.SQL(
                    "CASE WHEN i.clerk_id <> ALL (_losers) THEN i.email END AS email"
                )
                if value == _EMAIL
                else value
                for value in [sql.SQL("i.clerk_id"), sql.SQL("i.tier"), *incoming]
            ),
            "returned": _joined(
                sql.SQL("target.{} AS {}").format(column, sql.Identifier(alias))
                for column, alias in [
                    (names["key"], "key"),
                    *((r, f"reference_{n}") for n, r in enumerate(references)),
                ]
            ),
            "assignments": _joined(
                [
                    *(sql.SQL("{0} = excluded.{0}").format(c) for c in columns),
                    *_set(mapping.deleted_at, "NULL"),
                    *_set(mapping.updated_at, "now()"),
                ]
            ),
            "touched": sql.SQL("").join(
                sql.SQL(", {} = now()").format(column) for column in touched
            ),
            "forgotten": _joined(
                [
                    *(
                        sql.SQL("{} = {}").format(
                            sql.Identifier(column.name),
                            after_soft_deletion(column, mapping, names["key"]),
                        )
                        for column in mapping.columns
                        if column.personal
                    ),
                    *_set(mapping.deleted_at, "now()"),
                    *_set(mapping.updated_at, "now()"),
                ]
            ),
        }
        | _companions(mapping, schema)
    )


_EMAIL: Final = sql.SQL("i.{}").format(sql.Identifier("email"))


def _conditions(
    mapping: TableMapping, names: dict[str, sql.Composable]
) -> dict[str, sql.Composable]:
    differs: list[sql.Composable] = [sql.SQL("NOT ({live})").format(**names)]
    others = [
        (column, sql.Identifier(name))
        for name, column in zip(incoming_names(mapping), mapping.columns, strict=True)
        if column.name != mapping.email
    ]
    if others:
        old = _joined(compared(column) for column, _ in others)
        new = _joined(sql.SQL("i.{}").format(name) for _, name in others)
        row = sql.SQL("ROW({}) IS DISTINCT FROM ROW({})").format(old, new)
        differs.insert(0, row)
    if mapping.tier:
        other = "i.tier IS NOT NULL AND {old_tier} IS DISTINCT FROM i.tier"
        differs.append(sql.SQL(other).format(**names))
    always: dict[str, LiteralString] = {
        "same_email": "i.email IS NULL OR {email_text} = i.email",
        "email_is_kept_back": "true",
        "row_is_due": "s.skipped IS DISTINCT FROM 'email taken'",
        "may_be_created": "i.email IS NOT NULL",
        "may_be_rowless": "true",
    }
    nullable: dict[str, LiteralString] = {
        "same_email": "{email_text} IS NOT DISTINCT FROM i.email",
        "email_is_kept_back": "u.{email} IS NULL",
        "row_is_due": "true",
        "may_be_created": "i.has_email OR NOT _require_email",
        "may_be_rowless": "i.email IS NULL",
    }
    chosen = always if mapping.email_not_null else nullable
    if not mapping.email_unique:
        chosen |= {"email_is_kept_back": "false"}
    if may_be_unlinked(mapping):
        due = f"({chosen['may_be_created']}) AND NOT i.held_back"
        chosen |= {"may_be_created": due, "may_be_rowless": "true"}
    email = next(c for c in mapping.columns if c.name == mapping.email)
    names = names | {"email_text": compared(email)}
    conditions: dict[str, sql.Composable] = {
        "differs_but_email": sql.SQL("({})").format(sql.SQL(" OR ").join(differs))
    }
    for name, text in chosen.items():
        conditions[name] = sql.SQL(text).format(**names)
    return conditions


def _companions(mapping: TableMapping, schema: str) -> dict[str, sql.Composable]:
    new, missing, forgotten = [], [], []
    for number, companion in enumerate(mapping.companions):
        returned = sql.Identifier(f"reference_{number}")
        reference = sql.SQL("w.{}").format(returned)
        parts = _row_of(companion, reference, mapping, schema) | {
            "name": sql.Identifier(f"companion_{number}"),
            "reference": reference,
        }
        insert = sql.SQL(
            ", {name} AS (INSERT INTO {table} ({columns})"
            " SELECT {values} FROM written AS w"
        ).format(**parts)
        new.append(insert + sql.SQL(")"))
        missing.append(insert + sql.SQL(_once(companion)).format(**parts))
        if companion.is_rate_limits:
            forget = (
                "DELETE FROM {table} AS c WHERE c.{companion_key} = ANY (_claimed);"
            )
            forgotten.append(sql.SQL(forget).format(**parts))
    joined = sql.SQL("").join
    return {
        "new_companions": joined(new),
        "companions": joined(missing),
        "forget_companions": joined(forgotten),
    }


def _once(companion: Companion) -> LiteralString:
    """For whom a row is missing. Only ours is sure to have a unique key.

    Looked up row by row: an insert would wait for whoever has the companion's row
    locked, although there is nothing to insert. OR keeps it from becoming a join.
    """
    if companion.is_rate_limits:
        return (
            " WHERE w.inserted OR NOT EXISTS ("
            "SELECT FROM {table} AS c WHERE c.{companion_key} = {reference})"
            " ON CONFLICT DO NOTHING)"
        )
    return (
        " WHERE {reference} IS NULL OR NOT EXISTS ("
        "SELECT FROM {table} AS c WHERE c.{companion_key} = {reference}))"
    )


def _own_id(own_id: OwnId | None) -> list[tuple[sql.Identifier, sql.Composable]]:
    if own_id is None or own_id.generated == "database":
        return []
    return [(sql.Identifier(own_id.column), sql.SQL(_GENERATED[own_id.generated]))]


def _constants(
    values: Mapping[str, Constant],
) -> list[tuple[sql.Identifier, sql.Composable]]:
    return [(sql.Identifier(name), sql.Literal(v)) for name, v in values.items()]


def _set(column: str | None, value: LiteralString) -> list[sql.Composable]:
    if column is None:
        return []
    return [sql.SQL("{} = " + value).format(sql.Identifier(column))]


def _joined(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)


def companion_rows(
    mapping: TableMapping, schema: str
) -> Iterator[tuple[Companion, dict[str, sql.Composable]]]:
    """What it takes to make each companion's rows from rows `u` of the target table."""
    for companion in mapping.companions:
        references = sql.Identifier(companion.references)
        reference = sql.SQL("u.{}").format(references)
        parts = _row_of(companion, reference, mapping, schema)
        yield companion, parts | {"references": references}


def _row_of(
    companion: Companion, reference: sql.Composable, mapping: TableMapping, schema: str
) -> dict[str, sql.Composable]:
    """What is written, and where, when a row is made for `reference`."""
    times = (companion.created_at, companion.updated_at)
    written: list[tuple[sql.Composable, sql.Composable]] = [
        (sql.Identifier(companion.key), reference),
        *_own_id(companion.own_id),
        *((sql.Identifier(name), sql.SQL("now()")) for name in times if name),
        *_constants(companion.values),
    ]
    return {
        "table": companion_table(companion, mapping, schema),
        "companion_key": sql.Identifier(companion.key),
        "columns": _joined(column for column, _ in written),
        "values": _joined(value for _, value in written),
    }
