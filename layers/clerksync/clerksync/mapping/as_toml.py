"""Lines of a mapping as TOML: for messages that say how to fix one, and for `map`."""

import json
from collections.abc import Mapping
from typing import Final

from clerksync.mapping.table import Column, ColumnType, Constant

DELETED_EMAIL: Final = "deleted+{clerk_id}@example.com"
_STAND_INS: Final[dict[ColumnType, str]] = {
    "text": '""',
    "boolean": "false",
    "integer": "0",
    "bigint": "0",
    "numeric": "0",
    "jsonb": '"{}"',
    "timestamp": '"1970-01-01"',
}


def entry(column: Column, changed: Mapping[str, str] | None = None) -> str:
    """Return the line of a mapping that describes a column, with some of its keys
    changed or added. Their values are TOML."""
    keys = {"from": f'"{column.source}"'}
    if "." in column.source and column.type != "text":
        keys["type"] = f'"{column.type}"'
    if column.values:
        keys["values"] = toml(dict(column.values))
    if column.truncate is not None:
        keys["truncate"] = str(column.truncate)
    if column.otherwise is not None:
        keys["or"] = toml(column.otherwise)
    keys |= changed or {}
    inner = ", ".join(f"{name} = {value}" for name, value in keys.items())
    value = keys["from"] if len(keys) == 1 else f"{{ {inner} }}"
    return f"{toml_name(column.name)} = {value}"


def stand_in(column: Column) -> str:
    """Return, as TOML, a constant that could stand in for a value of Clerk's."""
    return toml(column.values[0][1]) if column.values else _STAND_INS[column.type]


def toml(value: Constant | Mapping[str, Constant]) -> str:
    """Return a constant, or an inline table of constants, as TOML has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # A basic string of TOML has the escapes of JSON, and needs one more.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        inner = ", ".join(f"{toml_name(k)} = {toml(v)}" for k, v in value.items())
        return f"{{ {inner} }}"
    return repr(value)


def toml_name(name: str) -> str:
    """Return a key as TOML has it."""
    is_bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if is_bare else toml(name)
