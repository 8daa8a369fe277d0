"""What the upsert would do with staged users, as queries that write nothing.

The verdicts are those of `upsert_sql`. Reading consumes no sequence value and fires no
trigger, so a constraint or trigger that would refuse a row is not foreseen.
"""

from dataclasses import replace
from datetime import datetime
from typing import LiteralString

from psycopg import sql

from clerksync.mapping.table import TableMapping
from clerksync.write.column_values import compared
from clerksync.write.email_rule import EmailRule, email_parts, with_compared
from clerksync.write.identifiers import identifiers
from clerksync.write.mapped_sql import incoming_names
from clerksync.write.unlinked_sql import IS_HELD_BACK, may_be_unlinked

# Another row, or a newer claim among the staged users, has the email.
_TAKEN: LiteralString = """
    SELECT i.clerk_id,
           coalesce(bool_or((h.{key} ~ {clerk_id}) IS NOT TRUE), false) AS is_held,
           coalesce(bool_or({outranks}), false) AS is_outranked,
           {displaced} AS displaced
    FROM incoming AS i
    JOIN {holders} AS h
        ON h.{held} {equals} i.{wanted} AND h.{key} IS DISTINCT FROM i.clerk_id
    LEFT JOIN {sync_state} AS s ON s.clerk_id = h.{key}
    LEFT JOIN incoming AS o ON o.clerk_id = h.{key}
    WHERE o.clerk_id IS NULL OR o.{wanted} {equals} i.{wanted}
    GROUP BY i.clerk_id
"""
_NOT_TAKEN: LiteralString = """
    SELECT NULL::text AS clerk_id, false AS is_held, false AS is_outranked,
           0::bigint AS displaced
    WHERE false
"""
# A staged claim is ranked by a window; this is about the rows of other users.
_OUTRANKS: LiteralString = """
    o.clerk_id IS NULL AND (h.{key} ~ {clerk_id}) IS TRUE AND
    (coalesce(s.clerk_updated_at, '-infinity'), h.{key}::text)
    > (i.clerk_updated_at, i.clerk_id)
"""
_DISPLACED: LiteralString = """
    count(*) FILTER (WHERE o.clerk_id IS NULL AND h.{key} ~ {clerk_id}
                           AND NOT ({outranks}))
"""
_PREVIEW: LiteralString = """
    WITH incoming AS MATERIALIZED (
        SELECT *, {is_unlinked} AS is_unlinked FROM {incoming} AS i
    ),
    taken AS ({taken}),
    ranked AS (
        SELECT i.*, i.is_unlinked OR coalesce(t.is_held, false) AS is_held,
               coalesce(t.displaced, 0) AS displaced,
               {is_unique} AND i.{wanted} IS NOT NULL AND (
                   coalesce(t.is_held OR t.is_outranked, false)
                   OR row_number() OVER (
                       PARTITION BY i.{wanted}
                       ORDER BY i.clerk_updated_at DESC, i.clerk_id DESC
                   ) > 1
               ) AS loses
        FROM incoming AS i
        LEFT JOIN taken AS t ON t.clerk_id = i.clerk_id
    ), judged AS (
        SELECT i.*, {changed} AS columns,
               CASE
                   WHEN s.deleted_at >= coalesce(i.confirmed_at, s.deleted_at)
                   THEN 'tombstoned'
                   WHEN s.clerk_updated_at > i.clerk_updated_at
                        AND (s.synced_at < i.confirmed_at
                             AND s.synced_at < {doubted_before}) IS NOT TRUE
                   THEN CASE
                       WHEN i.confirmed_at IS NULL AND s.synced_at < {doubted_before}
                       THEN 'ahead'
                       ELSE 'unchanged'
                   END
                   WHEN u.{key} IS NOT NULL THEN 'present'
                   WHEN ({may_be_created}) AND NOT i.is_unlinked THEN 'created'
                   ELSE 'skipped'
               END AS verdict
        FROM ranked AS i
        LEFT JOIN {sync_state} AS s ON s.clerk_id = i.clerk_id
        LEFT JOIN {users} AS u ON u.{key} = i.clerk_id
    )
    SELECT clerk_id,
           CASE
               WHEN verdict <> 'present' THEN verdict
               WHEN cardinality(columns) > 0 THEN 'updated'
               ELSE 'unchanged'
           END,
           columns, is_held AND verdict <> 'tombstoned',
           CASE WHEN verdict <> 'tombstoned' THEN loses::int + displaced ELSE 0 END
    FROM judged
"""
_HELD_BACK: LiteralString = """
    SELECT count(DISTINCT i.clerk_id)
    FROM {incoming} AS i
    LEFT JOIN {sync_state} AS s ON s.clerk_id = i.clerk_id
    WHERE s.deleted_at IS NULL AND ({is_held} OR {is_unlinked} AND NOT EXISTS (
        SELECT FROM {users} AS u WHERE u.{key} = i.clerk_id
    ))
"""
_IS_HELD: LiteralString = """EXISTS (
        SELECT FROM {holders} AS h
        WHERE h.{held} {equals} i.{wanted} AND (h.{key} ~ {clerk_id}) IS NOT TRUE
    )"""
_HAS_UNMANAGED: LiteralString = """
    SELECT EXISTS (
        SELECT FROM {users} AS u
        WHERE (u.{key} LIKE 'user^_%' ESCAPE '^') IS NOT TRUE AND u.{email} IS NOT NULL
    )
"""


def preview_query(
    mapping: TableMapping,
    schema: str,
    incoming: sql.Composed,
    rule: EmailRule | None,
    *,
    require_email: bool,
    doubted_before: datetime | None,
) -> sql.Composed:
    """Return the query of what would become of each staged user: its ID, created,
    updated, unchanged, skipped, tombstoned or ahead, the columns that would change,
    whether an unmanaged row holds its email, and how many users would be without their
    email."""
    if rule and not rule.nulls_distinct:
        mapping = replace(mapping, email_not_null=True)
    names = identifiers(mapping, schema)
    names = names | email_parts(names, rule)
    always = mapping.email_not_null
    # A holder that may not be without an email is looked up at Clerk by a real run. As
    # a rule it has a different email by now.
    outranks: sql.Composable = sql.SQL("false")
    displaced: sql.Composable = sql.SQL("0::bigint")
    if not always:
        outranks = sql.SQL(_OUTRANKS).format(**names)
        displaced = sql.SQL(_DISPLACED).format(**names, outranks=outranks)
    taken = sql.SQL(_TAKEN if mapping.email_unique else _NOT_TAKEN)
    if always:
        created: LiteralString = "i.email IS NOT NULL AND NOT i.loses"
    else:
        created = "i.email IS NOT NULL OR NOT {require_email}"
    return sql.SQL(_PREVIEW).format(
        **names,
        incoming=with_compared(incoming, mapping, rule),
        is_unlinked=_is_unlinked(mapping, names),
        taken=taken.format(**names, outranks=outranks, displaced=displaced),
        is_unique=sql.Literal(mapping.email_unique),
        changed=_changed(mapping),
        doubted_before=sql.SQL("{}::timestamptz").format(sql.Literal(doubted_before)),
        may_be_created=sql.SQL(created).format(
            require_email=sql.Literal(require_email)
        ),
    )


def held_back_query(
    mapping: TableMapping, schema: str, incoming: sql.Composed, rule: EmailRule | None
) -> sql.Composed:
    """Return the query of how many staged users want an email of an unmanaged row."""
    names = identifiers(mapping, schema)
    parts = names | email_parts(names, rule)
    is_held = sql.SQL(_IS_HELD if mapping.email_unique else "false").format(**parts)
    return sql.SQL(_HELD_BACK).format(
        **names,
        incoming=with_compared(incoming, mapping, rule),
        is_held=is_held,
        is_unlinked=_is_unlinked(mapping, names),
    )


def _is_unlinked(
    mapping: TableMapping, names: dict[str, sql.Composable]
) -> sql.Composable:
    if not may_be_unlinked(mapping):
        return sql.SQL("false")
    return sql.SQL(IS_HELD_BACK).format(**names)


def has_unmanaged_query(mapping: TableMapping, schema: str) -> sql.Composed:
    """Return the query of whether any unmanaged row has an email."""
    return sql.SQL(_HAS_UNMANAGED).format(**identifiers(mapping, schema))


def _changed(mapping: TableMapping) -> sql.Composed:
    """Name the columns in which the row `u` differs from what `i` makes of it."""
    email: LiteralString = "CASE WHEN NOT i.loses THEN i.email END"
    if mapping.email_not_null:
        email = "coalesce(CASE WHEN NOT i.loses THEN i.email END, {old})"
    differs: LiteralString = "{old} IS DISTINCT FROM "
    tests = [
        (column.name, differs + (email if column.name == mapping.email else "i.{name}"))
        for column in mapping.columns
    ]
    old = {column.name: compared(column) for column in mapping.columns}
    columns = [column.name for column in mapping.columns]
    names = dict(zip(columns, incoming_names(mapping), strict=True))
    if mapping.tier:
        tier: LiteralString = (
            "i.tier IS NOT NULL AND u.{column}::text IS DISTINCT FROM i.tier"
        )
        tests.append((mapping.tier, tier))
    if mapping.deleted_at:
        tests.append((mapping.deleted_at, "u.{column} IS NOT NULL"))
    cases = [
        sql.SQL("CASE WHEN {} THEN {} END").format(
            sql.SQL(test).format(
                column=sql.Identifier(column),
                name=sql.Identifier(names.get(column, column)),
                old=old.get(column, sql.SQL("NULL")),
            ),
            sql.Literal(column),
        )
        for column, test in tests
    ]
    return sql.SQL("array_remove(ARRAY[{}]::text[], NULL)").format(
        sql.SQL(", ").join(cases)
    )
