"""What is well-formed in a mapping and makes no sense."""

from collections.abc import Iterator
from typing import Final

from clerksync.clerk.user import FURTHER_FIELDS
from clerksync.mapping.as_toml import (
    DELETED_EMAIL,
    entry,
    stand_in,
    toml,
    toml_name,
)
from clerksync.mapping.line_numbers import KeyPath
from clerksync.mapping.table import Column, ColumnType, Companion, TableMapping

EMAIL_EMPTIED: Final = (
    "soft deletion empties the email, which must not be NULL. Say what to write "
    "instead: deleted_email ="
)
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
_OPPOSITES: Final = frozenset({"not banned", "not locked"})
_WHOLE: Final = frozenset({"email", "clerk_id"})
"""Of no use in part, or under another name."""
_SOURCES: Final = frozenset(
    {"clerk_id", "email", "name", "phone_number", "username", "first_name"}
    | {"last_name", "image_url", "public_metadata", "banned", "created_at"}
    | {"updated_at"}
    | FURTHER_FIELDS.keys()
    | _OPPOSITES
)


def type_of(source: str) -> ColumnType:
    """What a source is, where the mapping does not say."""
    if "." in source:
        return "text"
    source = source.removeprefix("not ")
    if source in _TYPES:
        return _TYPES[source]
    further = str(FURTHER_FIELDS.get(source, ""))
    if source.endswith("_at"):
        return "timestamp"
    return "boolean" if "bool" in further else "text"


def problems(mapping: TableMapping) -> Iterator[tuple[KeyPath, str]]:
    """What is wrong, and where in the file it stands."""
    for column in mapping.columns:
        for reason in _of_column(column):
            yield ("columns", column.name), reason
    yield from _of_email(mapping)
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
            yield where, f'column "{name}" is named twice: remove one of the two lines'
        if name is not None:
            seen.add(name)
    # Our own, which no file describes, has nothing to be named twice.
    described = [c for c in mapping.companions if not c.is_rate_limits]
    for number, companion in enumerate(described):
        for name in _named_twice(companion):
            named = f'column "{name}" of "{companion.table}" is named twice'
            yield ("companions", str(number)), f"{named}: remove one of the two"
    if mapping.deletion != "hard":
        yield from _kept_rows(mapping)


def _of_column(column: Column) -> Iterator[str]:
    root, dot, path = column.source.partition(".")
    if root not in _SOURCES or (dot and (root not in _METADATA or not path)):
        known = ", ".join(sorted(_SOURCES))
        yield (
            f"Clerk's users have no {column.source}. Use one of {known}, or a path "
            f'such as {toml_name(column.name)} = "public_metadata.plan"'
        )
        return
    own_type = "text" if column.values else type_of(column.source)
    if not dot and column.type != own_type:
        line = entry(column)
        yield f"{column.source} is {own_type}: leave type out, as in {line}"
    yield from _of_values(column, own_type=own_type if dot else type_of(column.source))
    otherwise = column.otherwise
    if otherwise is None:
        return
    if type(otherwise) not in _OTHERWISE.get(column.type, (str,)):
        line = entry(column, {"or": stand_in(column)})
        yield f"or = {toml(otherwise)} is not of type {column.type}. Write {line}"


def _of_values(column: Column, *, own_type: ColumnType) -> Iterator[str]:
    plain = f'{toml_name(column.name)} = "{column.source}"'
    if column.values:
        if column.source in _WHOLE:
            yield f"{column.source} cannot have values. Write {plain}"
        elif own_type not in {"text", "boolean"}:
            yield f"{column.source} is {own_type}, which cannot have values: {plain}"
        elif column.type != "text":
            yield 'values are texts: leave type out, or say type = "text"'
        elif column.truncate is not None:
            yield "values are written as they are: leave truncate out"
    elif column.truncate is not None:
        if column.source in _WHOLE:
            yield f"{column.source} is of no use in part. Write {plain}"
        elif column.type != "text":
            yield f"{column.source} is {column.type}, and only a text can be cut off"


def _of_email(mapping: TableMapping) -> Iterator[tuple[KeyPath, str]]:
    emails = [column.name for column in mapping.columns if column.source == "email"]
    if not emails:
        yield ("columns",), 'one column must be for the email: email = "email"'
        return
    if mapping.email_column not in {None, *emails}:
        also = f'{toml_name(str(mapping.email_column))} = "email"'
        yield ("table", "email"), f"that column needs a line in [columns]: {also}"
        return
    column = next(c for c in mapping.columns if c.name == mapping.email)
    if column.otherwise is not None and mapping.email_unique:
        line = f'{toml_name(column.name)} = "email"'
        reason = "an email is unique, so no constant can stand in for it. Write "
        yield ("columns", column.name), reason + line
    text = mapping.deleted_email
    if text is not None and mapping.email_unique and "{clerk_id}" not in text:
        reason = "two deleted users cannot have the same email. Write deleted_email = "
        yield ("table", "deleted_email"), reason + toml(DELETED_EMAIL)


def _named_twice(companion: Companion) -> Iterator[str]:
    times = (companion.created_at, companion.updated_at)
    names = [companion.key, *(name for name in times if name), *companion.values]
    if companion.own_id:
        names.append(companion.own_id.column)
    yield from sorted({name for name in names if names.count(name) > 1})


def _kept_rows(mapping: TableMapping) -> Iterator[tuple[KeyPath, str]]:
    where = ("table", "deletion")
    if mapping.deleted_at is None:
        reason = f"{mapping.deletion} deletion needs a deleted_at column. Name yours: "
        yield where, reason + 'deleted_at = "deleted_at"'
    is_soft = mapping.deletion == "soft"
    if is_soft and mapping.email_not_null and mapping.deleted_email is None:
        yield where, f"{EMAIL_EMPTIED} {toml(DELETED_EMAIL)}"
