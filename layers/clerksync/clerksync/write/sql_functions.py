"""The write path as functions in the database, built from a mapping.

Functions, because planning these statements costs as much as running them, and a
function keeps its plans without a prepared statement, behind any pooler; one round
trip does it all. `migrate` installs them; a digest of the source is part of the name,
so that code and database can never mean different versions.

The upsert exists twice from the same source: one reads a single user from its
parameters, the other any number from the temporary table `clerksync_incoming`.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final, LiteralString, NamedTuple

from psycopg import sql

from clerksync.mapping.table import TableMapping
from clerksync.write.deletion_sql import DELETE
from clerksync.write.email_rule import EmailRule, with_compared
from clerksync.write.isolation_sql import ISOLATE
from clerksync.write.mapped_sql import incoming_names, parts_of, rules_of
from clerksync.write.upsert_sql import UPSERT

_RESULT: LiteralString = """
    OUT created bigint, OUT updated bigint, OUT unchanged bigint, OUT skipped bigint,
    OUT email_conflicts bigint, OUT tombstoned text[], OUT blocked text[],
    OUT holders text[], OUT ahead text[], OUT _losers text[]
"""
_FLAGS: LiteralString = (
    "_require_email boolean, _manages_tier boolean, _default_tier text,"
    " _all_asked boolean, _lock_timeout text"
)
_FLAG_TYPES: Final[Sequence[LiteralString]] = (
    "boolean",
    "boolean",
    "text",
    "boolean",
    "text",
)
_BATCH_FLAGS: LiteralString = _FLAGS + ", _doubted_before timestamptz"
_BATCH_FLAG_TYPES: Final = (*_FLAG_TYPES, "timestamptz")
# What now() becomes in a column without a time zone.
_UTC: LiteralString = " SET timezone = 'UTC'"
_STAGING: Final = sql.SQL("pg_temp.clerksync_incoming")
# With the default cost of a random page, each batch would scan the tables: the larger
# they are, the slower. And no plan_cache_mode: it would reach the check of the foreign
# key, which is then planned for every single row.
_STAGED: LiteralString = "SET work_mem = '64MB' SET random_page_cost = 1.1" + _UTC


class Function(NamedTuple):
    """A function as it is installed and as it is called, all arguments positional."""

    name: str
    identifier: sql.Identifier
    parameters: sql.Composable
    options: LiteralString
    source: str
    call: sql.Composed

    @property
    def definition(self) -> sql.Composed:
        return sql.SQL(
            "CREATE OR REPLACE FUNCTION {} ({}) LANGUAGE plpgsql {} AS {}"
        ).format(
            self.identifier,
            self.parameters,
            sql.SQL(self.options),
            sql.Literal(self.source),
        )


class WritePath(NamedTuple):
    """The write path of one mapping in one schema."""

    upsert_user: Function
    upsert_staged: Function
    upsert_some: Function
    """Of the staged users, those with the given IDs."""
    isolate: Function
    """As `upsert_staged`; rows that the table refuses are left out, and returned."""
    delete_users: Function
    create_staging: sql.Composed
    copy_staging: sql.Composed
    staged: sql.Composed
    """The staged users as the upsert reads them: a subquery."""

    @property
    def functions(self) -> tuple[Function, ...]:
        return (
            self.upsert_user,
            self.upsert_staged,
            self.upsert_some,
            self.isolate,
            self.delete_users,
        )


class _Incoming(NamedTuple):
    """A column of what a door hands over."""

    name: str
    type: LiteralString
    read_as: LiteralString = "{}"
    otherwise: sql.Literal | None = None


_TIMESTAMP: Final[tuple[LiteralString, LiteralString]] = (
    "bigint",
    "to_timestamp({} / 1000.0::double precision)",
)
_TYPES: Final[dict[str, tuple[LiteralString, LiteralString]]] = {
    "text": ("text", "{}"),
    "jsonb": ("jsonb", "{}"),
    "boolean": ("boolean", "{}"),
    "integer": ("integer", "{}"),
    "bigint": ("bigint", "{}"),
    "numeric": ("numeric", "{}"),
    "timestamp": _TIMESTAMP,
}


@lru_cache
def build(mapping: TableMapping, schema: str) -> WritePath:
    """Compose the write path. Pure: it touches no database."""
    incoming = [*_incoming(mapping)]
    types = [field.type for field in incoming]
    columns = _joined(sql.Identifier(field.name) for field in incoming)
    single, staged, some = (body.as_string() for body in _upserts(mapping, schema))
    upsert_some = _function(
        schema,
        "clerksync_upsert_some",
        sql.SQL("_only text[], " + _BATCH_FLAGS + ", " + _RESULT),
        some,
        arguments=["text[]", *_BATCH_FLAG_TYPES],
        options=_STAGED,
    )
    isolate = sql.SQL(ISOLATE).format(upsert_some=upsert_some.identifier)
    delete = sql.SQL(DELETE).format(**parts_of(mapping, schema))
    return WritePath(
        upsert_some=upsert_some,
        isolate=_function(
            schema,
            "clerksync_isolate",
            sql.SQL(_BATCH_FLAGS + ", " + _RESULT + ", OUT refused jsonb"),
            isolate.as_string(),
            arguments=_BATCH_FLAG_TYPES,
        ),
        upsert_user=_function(
            schema,
            "clerksync_upsert_user",
            _declared(incoming, prefix="in.") + sql.SQL(", " + _FLAGS + ", " + _RESULT),
            single,
            arguments=[*types, *_FLAG_TYPES],
            options=_UTC,
        ),
        upsert_staged=_function(
            schema,
            "clerksync_upsert_staged",
            sql.SQL(_BATCH_FLAGS + ", " + _RESULT),
            staged,
            arguments=_BATCH_FLAG_TYPES,
            options=_STAGED,
        ),
        delete_users=_function(
            schema,
            "clerksync_delete_users",
            sql.SQL(
                "_clerk_ids text[], _unless_synced_since timestamptz, _deletion text,"
                " _lock_timeout text, OUT deleted bigint"
            ),
            delete.as_string(),
            arguments=["text[]", "timestamptz", "text", "text"],
            options=_UTC,
        ),
        create_staging=sql.SQL(
            "CREATE TEMPORARY TABLE clerksync_incoming ({}, PRIMARY KEY (clerk_id))"
            " ON COMMIT DROP"
        ).format(_declared(incoming)),
        copy_staging=sql.SQL("COPY {} ({}) FROM STDIN").format(_STAGING, columns),
        staged=sql.SQL("(SELECT {} FROM {})").format(_read(incoming), _STAGING),
    )


def functions_for(
    mapping: TableMapping, schema: str, rule: EmailRule | None
) -> Sequence[Function]:
    """Return the functions to install on a table with such a rule for emails.

    Their names do not depend on it: callers know the mapping, and not the table.
    """
    path = build(mapping, schema)
    if rule is None:
        return path.functions
    upserts = path.upsert_user, path.upsert_staged, path.upsert_some
    return [
        *(
            function._replace(source=body.as_string())
            for function, body in zip(
                upserts, _upserts(mapping, schema, rule), strict=True
            )
        ),
        path.isolate,
        path.delete_users,
    ]


def _upserts(
    mapping: TableMapping, schema: str, rule: EmailRule | None = None
) -> Iterator[sql.Composed]:
    """Yield the upsert of one user, of the staged users, and of some of these."""
    if rule and not rule.nulls_distinct:
        mapping = replace(mapping, email_not_null=True)
    incoming = [*_incoming(mapping)]
    parts = parts_of(mapping, schema, rule)
    sources = (
        # A dot in its name keeps a parameter apart from columns and variables.
        sql.SQL("(SELECT {})").format(_read(incoming, prefix="in.")),
        sql.SQL("(SELECT {} FROM {})").format(_read(incoming), _STAGING),
        sql.SQL("(SELECT {} FROM {} WHERE clerk_id = ANY (_only))").format(
            _read(incoming), _STAGING
        ),
    )
    for number, source in enumerate(sources):
        filled = parts | {"incoming": with_compared(source, mapping, rule)}
        rules = rules_of(mapping, is_batch=number > 0).items()
        yield sql.SQL(UPSERT).format(
            **filled, **{name: sql.SQL(text).format(**filled) for name, text in rules}
        )


def _incoming(mapping: TableMapping) -> Iterator[_Incoming]:
    """In the order of `UserTable`'s rows, under names that no column can clash with."""
    yield _Incoming("clerk_id", "text")
    yield _Incoming("clerk_updated_at", *_TIMESTAMP)
    for name, column in zip(incoming_names(mapping), mapping.columns, strict=True):
        otherwise = None if column.otherwise is None else sql.Literal(column.otherwise)
        yield _Incoming(name, *_TYPES[column.type], otherwise)
    yield _Incoming("confirmed_at", "timestamptz")
    yield _Incoming("tier", "text")


def _function(
    schema: str,
    name: LiteralString,
    parameters: sql.Composable,
    body: str,
    *,
    arguments: Sequence[LiteralString],
    options: LiteralString = "",
) -> Function:
    source = sql.Composed([parameters, sql.SQL(options)]).as_string() + body
    unique_name = f"{name}_{hashlib.sha256(source.encode()).hexdigest()[:12]}"
    identifier = sql.Identifier(schema, unique_name)
    return Function(
        name=unique_name,
        identifier=identifier,
        parameters=parameters,
        options=options,
        source=body,
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
        sql.SQL("{} AS {}").format(_value(field, prefix), sql.Identifier(field.name))
        for field in fields
    )


def _value(field: _Incoming, prefix: str) -> sql.Composed:
    value = sql.SQL(field.read_as).format(sql.Identifier(prefix + field.name))
    if field.otherwise is None:
        return value
    return sql.SQL("coalesce({}, {})").format(value, field.otherwise)


def _joined(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)
