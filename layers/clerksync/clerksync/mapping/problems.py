"""What is well-formed in a mapping and makes no sense."""

from collections.abc import Iterator
from typing import Final

from clerksync.clerk.user import FURTHER_FIELDS
from clerksync.mapping.line_numbers import KeyPath
from clerksync.mapping.table import Column, ColumnType, Companion, TableMapping

_METADATA: Final = frozenset({"public_metadata", "private_metadata", "unsafe_metadata"})
_TYPES: Final[dict[str, ColumnType]] = {
    "banned": "boolean",
    "public_metadata": "jsonb",
    "private_metadata": "jsonb",
    "unsafe_metadata": "jsonb",
}
_OTHERWISE: Final[dict[ColumnType, tuple[type, ...]]] = {
    "boolean": (bool,),
    "integer": (int,),
    "bigint": (int,),
    "numeric": (int, float),
}
_SOURCES: Final = frozenset(
    {"email", "name", "phone_number", "username", "first_name", "last_name"}
    | {"image_url", "public_metadata", "banned", "created_at", "updated_at"}
    | FURTHER_FIELDS.keys()
)


def type_of(source: str) -> ColumnType:
    """What a source is, where the mapping does not say."""
    if "." in source:
        return "text"
    if source in _TYPES:
        return _TYPES[source]
    further = str(FURTHER_FIELDS.get(source, ""))
    if source.endswith("_at"):
        return "timestamp"
    return "boolean" if "bool" in further else "text"


def problems(mapping: TableMapping) -> Iterator[tuple[KeyPath, str]]:
    """What is wrong, and where in the file it stands."""
    for column in mapping.columns:
        for reason in _of_column(column, mapping):
            yield ("columns", column.name), reason
    if len([c for c in mapping.columns if c.source == "email"]) != 1:
        yield ("columns",), 'one column must be for the email: email = "email"'
    roles = {
        "key": mapping.key,
        "id": mapping.own_id.column if mapping.own_id else None,
        "tier": mapping.tier,
        "created_at": mapping.created_at,
        "updated_at": mapping.updated_at,
        "deleted_at": mapping.deleted_at,
    }
    seen: set[str] = set()
    where_named = [(("table", role), column) for role, column in roles.items()]
    where_named += [(("columns", c.name), c.name) for c in mapping.columns]
    where_named += [(("defaults", column), column) for column in mapping.defaults]
    for where, name in where_named:
        if name in seen:
            yield where, f'column "{name}" is named twice'
        if name is not None:
            seen.add(name)
    # Our own, which no file describes, has nothing to be named twice.
    described = [c for c in mapping.companions if not c.is_rate_limits]
    for number, companion in enumerate(described):
        for name in _named_twice(companion):
            where = ("companions", str(number))
            yield where, f'column "{name}" of "{companion.table}" is named twice'
    if mapping.deletion != "hard":
        yield from _kept_rows(mapping)


def _of_column(column: Column, mapping: TableMapping) -> Iterator[str]:
    root, dot, path = column.source.partition(".")
    if root not in _SOURCES or (dot and (root not in _METADATA or not path)):
        known = ", ".join(sorted(_SOURCES))
        yield (
            f"Clerk's users have no {column.source}. Take one of {known}, or a path "
            "such as public_metadata.plan"
        )
    if not dot and column.type != type_of(column.source):
        yield f"{column.source} is {type_of(column.source)}: leave type out"
    stand_in = column.otherwise
    if stand_in is None:
        return
    if type(stand_in) not in _OTHERWISE.get(column.type, (str,)):
        yield f"or = {stand_in!r} is not of type {column.type}"
    if column.source == "email" and mapping.email_unique:
        yield "an email is unique: no or can stand in for it"


def _named_twice(companion: Companion) -> Iterator[str]:
    times = (companion.created_at, companion.updated_at)
    names = [companion.key, *(name for name in times if name), *companion.values]
    if companion.own_id:
        names.append(companion.own_id.column)
    yield from sorted({name for name in names if names.count(name) > 1})


def _kept_rows(mapping: TableMapping) -> Iterator[tuple[KeyPath, str]]:
    where = ("table", "deletion")
    if mapping.deleted_at is None:
        yield where, f"{mapping.deletion} deletion needs a deleted_at column"
    if mapping.deletion == "soft" and mapping.email_not_null:
        yield where, "soft deletion empties the email, which may not be NULL here"
