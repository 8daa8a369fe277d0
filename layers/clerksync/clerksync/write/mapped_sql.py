"""What a mapping puts into the rules of `upsert_sql`: its names, and its columns as
lists. Where a table lacks something, the part that is about it is empty."""

from collections.abc import Iterable
from typing import Final, LiteralString

from psycopg import sql

from clerksync.mapping.table import TableMapping
from clerksync.write import email_sql
from clerksync.write.column_values import (
    after_soft_deletion,
    compared,
    constants_of,
    of_type,
    tier_parts,
)
from clerksync.write.companion_sql import companion_parts
from clerksync.write.email_rule import EmailRule, email_parts
from clerksync.write.generated_ids import own_id_of
from clerksync.write.identifiers import identifiers
from clerksync.write.locked_sql import LOCK_FREE, LOCKING_VARIABLES, REFUSE_LOCKED
from clerksync.write.unlinked_sql import held_back_parts, may_be_unlinked
from clerksync.write.upsert_sql import (
    MANAGE_TIER,
    OR_DOUBTED,
    UNCHANGED_OR_AHEAD,
    UNLESS_DOUBTED,
)


def incoming_names(mapping: TableMapping) -> list[str]:
    """What the mapped columns are called on their way in."""
    return [
        "email" if column.name == mapping.email else f"v{number}"
        for number, column in enumerate(mapping.columns)
    ]


def rules_of(mapping: TableMapping, *, is_batch: bool) -> dict[str, LiteralString]:
    """Rules that only some tables, or only batches, need; with holes for the parts."""
    unique, always = mapping.email_unique, mapping.email_not_null
    settle = email_sql.KEEP if always else email_sql.GIVE_WAY
    return {
        "set_aside": email_sql.SET_ASIDE if unique and always else "",
        "find_holders": email_sql.FIND_HOLDERS if unique else "",
        "lock_all": email_sql.LOCK_ALL if unique else "",
        "settle_emails": settle if unique else "",
        "in_order": email_sql.IN_ORDER if unique else "",
        "manage_tier": MANAGE_TIER if mapping.tier else "",
        "lock_free": LOCK_FREE if is_batch else "",
        "refuse_locked": REFUSE_LOCKED if is_batch else "",
        "locking_variables": LOCKING_VARIABLES if is_batch else "",
        "due": "_free" if is_batch else "_claimed",
        "is_due": "" if is_batch else _IS_DUE,
        "unless_doubted": UNLESS_DOUBTED if is_batch else "",
        "unchanged_or_ahead": UNCHANGED_OR_AHEAD if is_batch else "'unchanged'",
        "or_doubted": OR_DOUBTED if is_batch else "",
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
    constants = [*own_id_of(mapping.own_id), *constants_of(mapping.defaults)]
    references = [sql.Identifier(c.references) for c in mapping.companions]

    values = [
        sql.SQL("i.clerk_id"),
        *written,
        *(names["tier_at_creation"] for _ in tier),
        *(sql.SQL("now()") for _ in now),
        *(value for _, value in constants),
    ]
    # Where an email may not be NULL, a row without a new one keeps its own.
    kept = sql.SQL("coalesce(i.email, u.{email})").format(**names)
    changed = [
        kept if value == _EMAIL and mapping.email_not_null else value
        for value in written
    ]

    return (
        names
        | email_parts(names, rule)
        | held_back_parts(mapping, names)
        | _conditions(mapping, names)
        | {
            "inserted": _joined(
                [names["key"], *columns, *tier, *now, *(name for name, _ in constants)]
            ),
            "values": _joined(values),
            "resolved": _joined(
                sql.SQL(
                    "CASE WHEN i.clerk_id <> ALL (_losers) THEN i.email END AS email"
                )
                if value == _EMAIL
                else value
                for value in [sql.SQL("i.clerk_id"), sql.SQL("i.tier"), *incoming]
            ),
            "returned": _joined(
                sql.SQL("u.{} AS {}").format(column, sql.Identifier(alias))
                for column, alias in [
                    (names["key"], "key"),
                    *((r, f"reference_{n}") for n, r in enumerate(references)),
                ]
            ),
            "assignments": _joined(
                [
                    *(
                        sql.SQL("{} = {}").format(column, value)
                        for column, value in zip(columns, changed, strict=True)
                    ),
                    *_set(mapping.deleted_at, "NULL"),
                    *_set(mapping.updated_at, "now()"),
                ]
            ),
            "has_triggers": sql.SQL(_HAS_TRIGGERS).format(
                sql.Literal(names["users"].as_string())
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
        | companion_parts(mapping, schema)
    )


_IS_DUE: LiteralString = """
          AND ({differs_but_email} OR NOT ({same_email})
               OR i.clerk_id = ANY (_released))"""
# Only then can a row that was written not be there.
_HAS_TRIGGERS: LiteralString = """EXISTS (
        SELECT FROM pg_catalog.pg_trigger AS t
        WHERE t.tgrelid = {}::pg_catalog.regclass AND NOT t.tgisinternal
    )"""
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
        "row_is_due": (
            "i.email IS NOT NULL AND s.skipped IS DISTINCT FROM 'email taken'"
        ),
        "email_is_required": "true",
        "may_be_created": "i.email IS NOT NULL",
        "may_be_rowless": "true",
    }
    nullable: dict[str, LiteralString] = {
        "same_email": "{email_text} IS NOT DISTINCT FROM i.email",
        "email_is_kept_back": "u.{email} IS NULL",
        "row_is_due": "true",
        "email_is_required": "_require_email",
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


def _set(column: str | None, value: LiteralString) -> list[sql.Composable]:
    if column is None:
        return []
    return [sql.SQL("{} = " + value).format(sql.Identifier(column))]


def _joined(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)
