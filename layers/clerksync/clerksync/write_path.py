"""The write path as functions in the database, built from a mapping.

Functions, because planning these statements costs as much as running them, and a
function keeps its plans without a prepared statement, behind any pooler; one round
trip does it all. `migrate` installs them; a digest of the source is part of the name,
so that code and database can never mean different versions.

The upsert exists twice from the same source: one reads a single user from its
parameters, the other any number from the temporary table `clerksync_incoming`.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, LiteralString

from psycopg import sql

from clerksync.table_mapping import TableMapping, identifiers
from clerksync.user_table_sql import DELETE, UPSERT

_RESULT: LiteralString = """
    OUT created bigint, OUT updated bigint, OUT unchanged bigint, OUT skipped bigint,
    OUT email_conflicts bigint, OUT tombstoned text[]
"""
_FLAGS: LiteralString = (
    "_require_email boolean, _manages_tier boolean, _default_tier text"
)


@dataclass(frozen=True, slots=True)
class Function:
    """A function as it is installed and as it is called, all arguments positional."""

    name: str
    definition: sql.Composed
    call: sql.Composed


@dataclass(frozen=True, slots=True)
class WritePath:
    """The write path of one mapping in one schema."""

    upsert_user: Function
    upsert_staged: Function
    delete_users: Function
    create_staging: sql.Composed
    copy_staging: sql.Composed

    @property
    def functions(self) -> tuple[Function, ...]:
        return self.upsert_user, self.upsert_staged, self.delete_users


@dataclass(frozen=True, slots=True)
class _Incoming:
    """A column of what a door hands over."""

    name: str
    type: LiteralString
    read_as: LiteralString = "{}"


_TIMESTAMP: Final = ("bigint", "to_timestamp({} / 1000.0::double precision)")


@lru_cache
def build(mapping: TableMapping, schema: str) -> WritePath:
    """Compose the write path. Pure: it touches no database."""
    incoming = _incoming(mapping)
    types = [field.type for field in incoming]
    parts = identifiers(mapping, schema) | _fragments(mapping)
    # A dot in its name keeps a parameter apart from columns and variables.
    single = sql.SQL("(SELECT {})").format(_read(incoming, prefix="in."))
    table = sql.SQL("pg_temp.clerksync_incoming")
    staged = sql.SQL("(SELECT {} FROM {})").format(_read(incoming), table)
    columns = _joined(sql.Identifier(field.name) for field in incoming)
    return WritePath(
        upsert_user=_function(
            schema,
            "clerksync_upsert_user",
            _declared(incoming, prefix="in.") + sql.SQL(", " + _FLAGS + ", " + _RESULT),
            sql.SQL(UPSERT).format(incoming=single, **parts),
            arguments=[*types, "boolean", "boolean", "text"],
        ),
        upsert_staged=_function(
            schema,
            "clerksync_upsert_staged",
            sql.SQL(_FLAGS + ", " + _RESULT),
            sql.SQL(UPSERT).format(incoming=staged, **parts),
            arguments=["boolean", "boolean", "text"],
            # With the default cost of a random page, each batch would scan the tables:
            # the larger they are, the slower. And no plan_cache_mode: it would reach
            # the check of the foreign key, which is then planned for every single row.
            options="SET work_mem = '64MB' SET random_page_cost = 1.1",
        ),
        delete_users=_function(
            schema,
            "clerksync_delete_users",
            sql.SQL(
                "_clerk_ids text[], _unless_synced_since timestamptz, _soft boolean,"
                " OUT deleted bigint"
            ),
            sql.SQL(DELETE).format(**parts),
            arguments=["text[]", "timestamptz", "boolean"],
        ),
        create_staging=sql.SQL(
            "CREATE TEMPORARY TABLE clerksync_incoming ({}, PRIMARY KEY (clerk_id))"
            " ON COMMIT DROP"
        ).format(_declared(incoming)),
        copy_staging=sql.SQL("COPY {} ({}) FROM STDIN").format(table, columns),
    )


def _incoming(mapping: TableMapping) -> list[_Incoming]:
    return [
        _Incoming("clerk_id", "text"),
        _Incoming("clerk_updated_at", *_TIMESTAMP),
        *(
            _Incoming(column.name, *_TIMESTAMP)
            if column.type == "timestamp"
            else _Incoming(column.name, column.type)
            for column in mapping.columns
        ),
        _Incoming("confirmed_at", "timestamptz"),
        _Incoming("tier", "text"),
    ]


def _fragments(mapping: TableMapping) -> dict[str, sql.Composable]:
    """Lists of columns, and the one expression that stands twice in the upsert."""
    columns = [sql.Identifier(column.name) for column in mapping.columns]
    others = [
        sql.Identifier(c.name) for c in mapping.columns if c.name != mapping.email
    ]
    resolved = sql.SQL("CASE WHEN i.clerk_id <> ALL (_losers) THEN i.{0} END AS {0}")
    return {
        "columns": _joined(columns),
        "incoming_columns": _joined(sql.SQL("i.{}").format(c) for c in columns),
        "resolved_columns": _joined(
            (resolved if column.name == mapping.email else sql.SQL("i.{0}")).format(c)
            for c, column in zip(columns, mapping.columns, strict=True)
        ),
        "assignments": _joined(
            sql.SQL("{0} = excluded.{0}").format(c) for c in columns
        ),
        "forgotten": _joined(
            sql.SQL("{} = NULL").format(sql.Identifier(column.name))
            for column in mapping.columns
            if column.personal
        ),
        "differs_but_email": sql.SQL(
            "(({old}) IS DISTINCT FROM ({new}) OR u.{deleted_at} IS NOT NULL"
            " OR coalesce(u.{tier} <> i.tier, false))"
        ).format(
            old=_joined(sql.SQL("u.{}").format(c) for c in others),
            new=_joined(sql.SQL("i.{}").format(c) for c in others),
            deleted_at=sql.Identifier(mapping.deleted_at),
            tier=sql.Identifier(mapping.tier),
        ),
    }


def _function(
    schema: str,
    name: LiteralString,
    parameters: sql.Composable,
    body: sql.Composable,
    *,
    arguments: Sequence[LiteralString],
    options: LiteralString = "",
) -> Function:
    source = sql.Composed([parameters, sql.SQL(options), body]).as_string()
    unique_name = f"{name}_{hashlib.sha256(source.encode()).hexdigest()[:12]}"
    identifier = sql.Identifier(schema, unique_name)
    return Function(
        name=unique_name,
        definition=sql.SQL(
            "CREATE OR REPLACE FUNCTION {} ({}) LANGUAGE plpgsql {} AS {}"
        ).format(
            identifier, parameters, sql.SQL(options), sql.Literal(body.as_string())
        ),
        call=sql.SQL("SELECT * FROM {}({})").format(
            identifier, _joined(sql.SQL("%s::" + type_) for type_ in arguments)
        ),
    )


def _declared(fields: Iterable[_Incoming], *, prefix: str = "") -> sql.Composed:
    return _joined(
        sql.SQL("{} " + field.type).format(sql.Identifier(prefix + field.name))
        for field in fields
    )


def _read(fields: Iterable[_Incoming], *, prefix: str = "") -> sql.Composed:
    return _joined(
        sql.SQL(field.read_as + " AS {}").format(
            sql.Identifier(prefix + field.name), sql.Identifier(field.name)
        )
        for field in fields
    )


def _joined(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)
