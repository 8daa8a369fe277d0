"""Whether tables that an application has made are such that the write path can use
them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import psycopg
from psycopg import sql

from clerksync.mapping.table import (
    Column,
    ColumnType,
    Companion,
    Constant,
    OwnId,
    TableMapping,
)
from clerksync.schema.catalog import FoundColumn, columns_of, kind_of, schemas_of
from clerksync.schema.companion_fit import key_problems
from clerksync.schema.constant_fit import takes
from clerksync.write.identifiers import companion_table, identifiers

# Not citext: compared with a text, it is case-sensitive and has no index.
_TEXTS: Final = ("text", "character varying", "character")
_COARSE_TIME: Final = re.compile(r"timestamp\([0-2]\)")
_ROUNDED: Final = re.compile(r"numeric\(")
_TIMES: Final = ("timestamp with time zone", "timestamp without time zone")
_TAKEN: Final[dict[ColumnType, Sequence[str]]] = {
    "text": _TEXTS,
    "jsonb": ("jsonb",),
    "boolean": ("boolean",),
    "timestamp": _TIMES,
    "integer": ("integer", "bigint", "numeric"),
    "bigint": ("bigint", "numeric"),
    # In a real, most numbers come to differ from what Clerk has.
    "numeric": ("numeric", "double precision"),
}
_NOTHING: Final = "Clerk may have nothing for it"
_UNIQUE_TOO: Final = (
    f"{_NOTHING}. It is unique, too, so no constant can stand in: "
    "drop NOT NULL, or leave it out of the mapping and give it a default that is unique"
)
# Clerk always gives these; and metadata that is empty is {}.
_ALWAYS: Final = frozenset({"created_at", "updated_at", "public_metadata"})


@dataclass(frozen=True, slots=True)
class Misfit:
    """One thing that is wrong with a table."""

    table: str
    column: str | None
    reason: str
    """What is wrong, and how to mend it where that is not plain."""


def misfits(
    connection: psycopg.Connection, mapping: TableMapping, schema: str
) -> list[Misfit]:
    """What keeps the write path from using the tables; reads only the catalog."""
    found = target_misfits(connection, mapping, schema)
    for companion in mapping.companions:
        table = companion_table(companion, mapping, schema)
        check = _companion(companion)
        found += _of_table(connection, table, companion.table, check)
        found += (
            Misfit(companion.table, companion.key, f'column "{companion.key}" {reason}')
            for reason in key_problems(connection, companion, mapping, schema)
        )
    return found


def target_misfits(
    connection: psycopg.Connection, mapping: TableMapping, schema: str
) -> list[Misfit]:
    """The same of the target table alone."""
    users = identifiers(mapping, schema)["users"]
    if kind_of(connection, users.as_string()) is None:
        reason = f"there is no table {users.as_string()}"
        if others := schemas_of(connection, mapping.table):
            lines = " or ".join(f'schema = "{name}"' for name in others)
            reason += f". There is one elsewhere: add {lines} under [table]"
        return [Misfit(mapping.table, None, reason)]
    return [*_of_table(connection, users, mapping.table, _target(mapping))]


@dataclass(frozen=True, slots=True)
class _Expected:
    """What the write path does with a table's columns."""

    types: Mapping[str, Sequence[str] | None]
    """The columns that it writes, and the types that each may have; None: any."""
    reads: Sequence[str] = ()
    unique: Sequence[str] = ()
    not_unique: Sequence[str] = ()
    of_milliseconds: Sequence[str] = ()
    """Columns that hold Clerk's times: cut short, they would differ with each sync."""
    nullable: Mapping[str, str] = field(default_factory=dict)
    """Columns that must take NULL, and why."""
    constants: Mapping[str, Constant] = field(default_factory=dict)
    stand_ins: Mapping[str, ColumnType] = field(default_factory=dict)
    """Those of them that stand in for a value of Clerk's, and of which type."""
    may_be_partitioned: bool = True
    """Whether a row was inserted or updated is not told by a partitioned table."""


def _target(mapping: TableMapping) -> _Expected:
    times = (mapping.created_at, mapping.updated_at, mapping.deleted_at)
    types: dict[str, Sequence[str] | None] = {mapping.key: _TEXTS}
    types |= {column.name: _TAKEN[column.type] for column in mapping.columns}
    types |= {name: _TIMES for name in times if name}
    types |= dict.fromkeys(mapping.defaults)
    if mapping.tier:
        types[mapping.tier] = _TEXTS
    own_id = mapping.own_id
    if own_id and own_id.generated != "database":
        types[own_id.column] = _id_types(own_id)
    nullable = {c.name: r for c in mapping.columns if (r := _why(c, mapping))}
    if mapping.deleted_at:
        nullable[mapping.deleted_at] = "NULL is for who is not deleted"
    reads = [own_id.column] if own_id else []
    stand_ins = {
        c.name: c.otherwise for c in mapping.columns if c.otherwise is not None
    }
    return _Expected(
        types,
        reads=[*reads, *(c.references for c in mapping.companions)],
        unique=[mapping.key, *([mapping.email] if mapping.email_unique else [])],
        not_unique=[] if mapping.email_unique else [mapping.email],
        of_milliseconds=[c.name for c in mapping.columns if c.type == "timestamp"],
        nullable=nullable,
        constants={**mapping.defaults, **stand_ins},
        stand_ins={c.name: c.type for c in mapping.columns},
        may_be_partitioned=False,
    )


def _why(column: Column, mapping: TableMapping) -> str | None:
    """Why a column has to take NULL; None when it need not."""
    if column.source == "email":
        if mapping.email_not_null:
            return None
        return "an email can be lost: say email_not_null = true in the mapping"
    if mapping.deletion == "soft" and column.personal:
        return "a soft deletion empties it"
    if column.source in _ALWAYS or column.otherwise is not None:
        return None
    return (
        f"{_NOTHING}: say what to write then, as in "
        f'{column.name} = {{ from = "{column.source}", or = "" }}'
    )


def _companion(companion: Companion) -> _Expected:
    times = (companion.created_at, companion.updated_at)
    types: dict[str, Sequence[str] | None] = {companion.key: None}
    types |= {name: _TIMES for name in times if name}
    types |= dict.fromkeys(companion.values)
    if companion.own_id and companion.own_id.generated != "database":
        types[companion.own_id.column] = _id_types(companion.own_id)
    return _Expected(
        types,
        unique=[companion.key] if companion.is_rate_limits else [],
        constants=companion.values,
    )


def _id_types(own_id: OwnId) -> Sequence[str]:
    return _TEXTS if own_id.generated == "cuid" else (*_TEXTS, "uuid")


def _of_table(
    connection: psycopg.Connection,
    table: sql.Composable,
    name: str,
    expected: _Expected,
) -> Iterator[Misfit]:
    qualified = table.as_string()
    kind = kind_of(connection, qualified)
    if kind is None:
        yield Misfit(name, None, f"there is no table {qualified}")
        return
    if kind not in {"r", "p"}:
        yield Misfit(name, None, f"{qualified} is a view or no table at all")
        return
    if kind == "p" and not expected.may_be_partitioned:
        yield Misfit(name, None, f"{qualified} is partitioned")
    columns = columns_of(connection, qualified)
    for column in dict.fromkeys([*expected.types, *expected.reads]):
        if column not in columns:
            yield Misfit(name, column, f'column "{column}" does not exist')
    for column, found in columns.items():
        for reason in _of_column(found, expected):
            yield Misfit(name, column, f'column "{column}" {reason}')
    for column in columns.keys() & expected.constants.keys():
        type_, constant = columns[column].type, expected.constants[column]
        if not takes(
            connection,
            table,
            column,
            type_=type_,
            constant=constant,
            stands_in_for=expected.stand_ins.get(column),
        ):
            reason = f'column "{column}", {type_}, does not take {constant!r}'
            yield Misfit(name, column, reason)


def _of_column(found: FoundColumn, expected: _Expected) -> Iterator[str]:
    name = found.name
    if name not in expected.types:
        if found.not_null and not found.filled_by_table:
            yield "is NOT NULL and has no default"
        return
    taken = expected.types[name]
    if found.not_writable:
        yield "is generated by the table, and cannot be written"
    if taken is not None and found.base_type not in taken:
        yield f"is not of type {taken[0]}: it is {found.type}"
    if name in expected.of_milliseconds and _COARSE_TIME.match(found.type):
        yield f"is a {found.type}: too coarse for Clerk's times, in milliseconds"
    if taken is not None and "numeric" in taken and _ROUNDED.match(found.type):
        yield f"is a {found.type}, which rounds and refuses numbers: make it numeric"
    yield from _of_uniqueness(found, expected)
    if name in expected.constants and found.unique_alone:
        yield (
            "is unique: only one row could have the constant. Drop the uniqueness, or "
            "leave the column out of the mapping and give it a default that is unique"
        )
    why = expected.nullable.get(name)
    if why and why.startswith(_NOTHING) and found.unique_alone:
        why = _UNIQUE_TOO
    if why and found.not_null:
        yield f"is NOT NULL, and {why}"


def _of_uniqueness(found: FoundColumn, expected: _Expected) -> Iterator[str]:
    plain = f'CREATE UNIQUE INDEX ON … ("{found.name}")'
    if found.name in expected.unique and not found.is_unique:
        if found.unique_by is None:
            yield "is not unique"
        else:
            yield (
                f"is unique only by {found.unique_by}, which is partial, deferrable, "
                f"or on something else too. {plain} as well"
            )
    if found.name in expected.not_unique and found.unique_by is not None:
        also = "" if found.is_unique else f", and {plain}"
        yield (
            f"is unique, by {found.unique_by}: take email_unique = false out of the "
            f"mapping{also}"
        )
