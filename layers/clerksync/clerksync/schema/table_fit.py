"""Whether the write path can use tables that an application has made."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import psycopg
from psycopg import sql

from clerksync.mapping.as_toml import toml
from clerksync.mapping.table import (
    Column,
    ColumnType,
    Companion,
    Constant,
    OwnId,
    TableMapping,
)
from clerksync.schema import remedies
from clerksync.schema.catalog import (
    FoundColumn,
    columns_of,
    kind_of,
    rules_of,
    schemas_with,
)
from clerksync.schema.column_fit import (
    default_tier_problem,
    domain_problems,
    source_problems,
    tier_problems,
)
from clerksync.schema.companion_fit import key_problems
from clerksync.schema.constant_fit import takes
from clerksync.schema.email_fit import email_problems
from clerksync.schema.not_null_values import constant_for
from clerksync.schema.null_fit import if_unique_too, why_nullable
from clerksync.write.identifiers import companion_table, identifiers

_TEXTS: Final = ("text", "character varying", "character")
_ROUNDED: Final = re.compile(r"numeric\(")
_NAME_IT: Final = 'Name a plain table: name = "…"'
# An INSERT with ON CONFLICT needs both.
_WRITES: Final = ("INSERT", "UPDATE")
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
    found = [*_of_table(connection, users, mapping.table, _target(mapping))]
    if mapping.schema_is_default and not found:
        former = sql.Identifier(schema, mapping.table).as_string()
        if kind_of(connection, former):
            said = remedies.two_tables(users.as_string(), former, schema)
            found.append(Misfit(mapping.table, None, said))
    return found + [
        Misfit(mapping.table, mapping.email, f'column "{mapping.email}" {problem}')
        for problem in email_problems(connection, mapping, schema)
        if not any(m.column in {None, mapping.email} for m in found)
    ]


def default_tier_misfits(mapping: TableMapping, default_tier: str) -> list[Misfit]:
    """What keeps new users from having the default tier."""
    problem = default_tier_problem(default_tier, mapping)
    if problem is None:
        return []
    return [Misfit(mapping.table, mapping.tier, f'column "{mapping.tier}": {problem}')]


@dataclass(frozen=True, slots=True)
class _Expected:
    """What the write path does with a table's columns."""

    types: Mapping[str, Sequence[str] | None]
    """The columns that it writes, and the types that each may have; None: any."""
    reads: Sequence[str] = ()
    unique: Sequence[str] = ()
    of_milliseconds: Sequence[str] = ()
    """Columns that hold Clerk's times: cut short, they would differ with each sync."""
    nullable: Mapping[str, str] = field(default_factory=dict)
    """Columns that must take NULL, and why."""
    constants: Mapping[str, Constant] = field(default_factory=dict)
    columns: Mapping[str, Column] = field(default_factory=dict)
    """Those that have a source, by name."""
    target: TableMapping | None = None
    """None for a companion."""
    commands: Sequence[str] = ("INSERT",)
    """What Postgres refuses if the table has a rewrite rule for it."""
    may_be_partitioned: bool = True
    """Whether a row was inserted or updated is not told by a partitioned table."""


def _target(mapping: TableMapping) -> _Expected:
    times = (mapping.created_at, mapping.updated_at, mapping.deleted_at)
    types: dict[str, Sequence[str] | None] = {mapping.key: _TEXTS}
    types |= {c.name: None if c.values else _TAKEN[c.type] for c in mapping.columns}
    types |= {name: _TIMES for name in times if name}
    types |= dict.fromkeys(mapping.defaults)
    if mapping.tier:
        types[mapping.tier] = None if mapping.tier_values else _TEXTS
    own_id = mapping.own_id
    if own_id and own_id.generated != "database":
        types[own_id.column] = _id_types(own_id)
    nullable = {c.name: r for c in mapping.columns if (r := why_nullable(c, mapping))}
    if mapping.deleted_at:
        nullable[mapping.deleted_at] = (
            "must be NULL for users who are not deleted. ALTER TABLE … ALTER "
            f'"{mapping.deleted_at}" DROP NOT NULL'
        )
    stand_ins = {c.name: v for c in mapping.columns if (v := c.otherwise) is not None}
    return _Expected(
        types,
        reads=[
            *([own_id.column] if own_id else []),
            *(c.references for c in mapping.companions),
        ],
        unique=[mapping.key],
        of_milliseconds=[c.name for c in mapping.columns if c.type == "timestamp"],
        nullable=nullable,
        constants={**mapping.defaults, **stand_ins},
        columns={c.name: c for c in mapping.columns},
        target=mapping,
        commands=_WRITES,
        may_be_partitioned=False,
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
        commands=_WRITES if companion.is_rate_limits else ("INSERT",),
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
        schemas = schemas_with(connection, name)
        is_target = expected.target is not None
        said = remedies.no_table(qualified, schemas, is_target=is_target)
        yield Misfit(name, None, said)
        return
    if kind not in {"r", "p"}:
        yield Misfit(
            name, None, f"{qualified} is a view or no table at all. {_NAME_IT}"
        )
        return
    if kind == "p" and not expected.may_be_partitioned:
        yield Misfit(name, None, f"{qualified} is partitioned. {_NAME_IT}")
    for rule, command in rules_of(connection, qualified, expected.commands):
        yield Misfit(name, None, remedies.no_rule(qualified, rule, command))
    columns = columns_of(connection, qualified)
    for column in dict.fromkeys([*expected.types, *expected.reads]):
        if column not in columns:
            unused = columns.keys() - expected.types.keys()
            source, is_key = expected.columns.get(column), column in expected.unique
            remedy = remedies.no_column(column, unused, source, is_key=is_key)
            reason = f'column "{column}" does not exist. {remedy}'
            yield Misfit(name, column, reason)
    for column, found in columns.items():
        reasons = [*_of_column(connection, found, expected)]
        reasons += _of_values(connection, table, found, expected)
        yield from (Misfit(name, column, f'column "{column}" {r}') for r in reasons)


def _of_values(
    connection: psycopg.Connection,
    table: sql.Composable,
    found: FoundColumn,
    expected: _Expected,
) -> Iterator[str]:
    """What a column does not take of all that may be written."""
    mapping, column = expected.target, expected.columns.get(found.name)
    if mapping is not None and column is not None:
        yield from source_problems(connection, table, found, column, mapping)
    elif mapping is not None and found.name == mapping.tier:
        yield from tier_problems(connection, table, found, mapping)
    if mapping is not None:
        yield from domain_problems(connection, found, mapping)
    if found.name not in expected.constants:
        return
    constant = expected.constants[found.name]
    if not takes(
        connection,
        table,
        found.name,
        type_=found.type,
        constant=constant,
        stands_in_for=None if column is None or column.values else column.type,
    ):
        other, _ = constant_for(connection, found)
        line = "" if other is None else f". Write, for example, {toml(other)}"
        yield f"is of type {found.type}, and does not take {toml(constant)}{line}"


def _of_column(
    connection: psycopg.Connection, found: FoundColumn, expected: _Expected
) -> Iterator[str]:
    name = found.name
    if name not in expected.types:
        if found.not_null and not found.filled_by_table:
            of_companion = expected.target is None
            remedy = remedies.fill(connection, found, in_companion=of_companion)
            yield f"is NOT NULL and has no default. {remedy}"
        return
    taken = expected.types[name]
    if found.not_writable:
        yield "is generated by the table, and cannot be written: remove the line"
    if taken is not None and not _is_taken(found, taken, expected):
        remedy = remedies.other_type(found, expected.columns.get(name))
        yield f"is not of type {taken[0]}: it is {found.type}{remedy}"
    if name in expected.of_milliseconds and not found.holds_milliseconds:
        yield (
            f"is a {found.type}: too coarse for Clerk's times, in milliseconds. "
            f'ALTER TABLE … ALTER "{name}" TYPE timestamptz, or remove the line'
        )
    if taken is not None and "numeric" in taken and _ROUNDED.match(found.type):
        yield f"is a {found.type}, which rounds and refuses numbers: make it numeric"
    yield from remedies.uniqueness(
        found,
        must_be=name in expected.unique,
        has_constant=name in expected.constants,
    )
    why = expected.nullable.get(name)
    if found.unique_alone and (column := expected.columns.get(name)):
        why = why and if_unique_too(why, column)
    if why and found.not_null:
        yield f"is NOT NULL, and {why}"


def _is_taken(found: FoundColumn, taken: Sequence[str], expected: _Expected) -> bool:
    if found.is_citext:
        # Where rows are looked up by it, a text would not find it in another case.
        return taken is _TEXTS and found.name not in expected.unique
    mapping = expected.target
    if found.labels is not None and mapping is not None:
        # What to do about an enum is said by `column_fit`.
        return found.name in expected.columns or found.name == mapping.tier
    return found.base_type in taken
