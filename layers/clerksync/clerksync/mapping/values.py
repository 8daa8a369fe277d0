"""The values of a user for the mapped columns."""

import json
from collections.abc import Callable
from functools import partial
from math import isfinite
from operator import attrgetter
from typing import Any, Final

from clerksync.clerk.timestamps import YEAR_10000
from clerksync.clerk.user import ClerkUser
from clerksync.mapping.table import Column, ColumnType, TableMapping, Values


def reader_of(mapping: TableMapping) -> Callable[[ClerkUser], tuple[Any, ...]]:
    """Return a function that gives ID, version and the columns' values of a user, in
    their order.

    It raises AttributeError for a user of a different model than the mapping's.
    """
    if all(map(_is_plain, mapping.columns)):
        sources = [_attribute(column.source) for column in mapping.columns]
        return attrgetter("id", "updated_at", *sources)
    read: list[Callable[[ClerkUser], Any]] = [attrgetter("id")]
    read += [attrgetter("updated_at"), *map(_getter, mapping.columns)]
    return lambda user: tuple([get(user) for get in read])


def replaced(value: str | None, values: Values) -> str | None:
    """Return what a mapping's `values` has for a text of Clerk's; None if nothing."""
    if value is None or not values:
        return value
    for theirs, ours in values:
        if theirs == value:
            return ours
    return next((ours for theirs, ours in values if theirs == "*"), None)


def _is_plain(column: Column) -> bool:
    is_attribute = "." not in column.source and " " not in column.source
    return is_attribute and not column.values and column.truncate is None


def _attribute(source: str) -> str:
    return "id" if source == "clerk_id" else source


def _getter(column: Column) -> Callable[[ClerkUser], Any]:
    read = _reader(column)
    if column.values:
        return lambda user: replaced(_as_text(read(user)), column.values)
    if column.truncate is not None:
        return lambda user: None if (v := read(user)) is None else v[: column.truncate]
    return read


def _reader(column: Column) -> Callable[[ClerkUser], Any]:
    if column.source.startswith("not "):
        opposite = attrgetter(column.source.removeprefix("not "))
        return lambda user: not opposite(user)
    root, *path = column.source.split(".")
    if not path:
        return attrgetter(_attribute(root))
    return partial(_at_path, root=root, path=path, convert=_CONVERTED[column.type])


def _at_path(
    user: ClerkUser, *, root: str, path: list[str], convert: Callable[[Any], Any]
) -> Any:
    value = getattr(user, root)
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return None if value is None else convert(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _as_text(value: Any) -> str | None:
    return None if value is None else _text(value)


def _boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _number(value: Any) -> int | float | None:
    try:
        is_number = type(value) in {int, float} and isfinite(value)
    except OverflowError:  # more than a double holds
        return None
    return value if is_number else None


def _integer_in(numbers: range) -> Callable[[Any], int | None]:
    return lambda value: value if type(value) is int and value in numbers else None


# Metadata is anything: what does not fit its column is left out, not an error.
_CONVERTED: Final[dict[ColumnType, Callable[[Any], Any]]] = {
    "text": _text,
    "boolean": _boolean,
    "numeric": _number,
    "integer": _integer_in(range(-(2**31), 2**31)),
    "bigint": _integer_in(range(-(2**63), 2**63)),
    "timestamp": _integer_in(range(YEAR_10000)),
    "jsonb": lambda value: value,
}
