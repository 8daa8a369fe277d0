"""What is wrong with a mapping that is not well-formed, as a person would say it."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from clerksync.mapping.line_numbers import KeyPath, Lines, innermost

_MISSING: Final[Mapping[str, str]] = {
    "name": 'name = "users"',
    "key": 'key = "clerk_id"',
    "table": '[table] with name = "users" and key = "clerk_id"',
    "columns": '[columns] with email = "email"',
    "references": 'references = "id"',
    "column": 'column = "id"',
    "generate": 'generate = "uuid4"',
    "from": 'from = "first_name"',
}
_EXAMPLES: Final[Mapping[str, str]] = {
    "bool_type": "false",
    "int_type": "150",
    "string_type": '"users"',
}


def said(error: Any, path: KeyPath, lines: Lines, settings: Iterable[str]) -> str:
    """Return what pydantic found, and the line to write instead where there is one.

    `settings` are the names of all that a mapping may have.
    """
    what = path[-1] if path else "file"
    match error["type"]:
        case "extra_forbidden":
            from difflib import get_close_matches  # noqa: PLC0415 - for mistakes

            close = get_close_matches(what, settings, n=1)
            instead = f": write {close[0]}" if close else ""
            return f"there is no such setting as {what}{instead}"
        case "missing":
            line = _missing(path)
            return f"{what} is missing. Add {line}" if line else f"{what} is missing"
        case "string_pattern_mismatch" | "string_too_long":
            return (
                f"{error['input']!r} is no name: take at most 63 letters, digits, "
                "underscores, dollar signs, hyphens or spaces, and no quotes"
            )
    if of_shape := _shape(error["type"], path, lines):
        return of_shape
    message = str(error["msg"])
    example = _EXAMPLES.get(error["type"])
    line = f", as in {what} = {example}" if example else ""
    return f"{what}: {message[:1].lower()}{message[1:]}{line}"


def _shape(kind: str, path: KeyPath, lines: Lines) -> str | None:
    what = path[-1] if path else ""
    is_section = kind == "dict_type"
    if is_section and path[:1] == ("columns",) and len(path) == 2:
        return f'{what}: input should be a source, as in {what} = "first_name"'
    if is_section and path == ("table", "tier"):
        return 'tier: input should be the name of a column: tier = "tier"'
    is_companion = path[:1] == ("companions",)
    if "defaults" in path or (is_companion and "values" in path):
        name = innermost(path, lines)[-1]
        return f"{name} must be a text, a number, true or false, as in {name} = 0"
    if "values" in path:
        return 'values must be texts, as in values = { FREE = "free", "*" = "paid" }'
    return None


def _missing(path: KeyPath) -> str | None:
    if path[:1] == ("companions",) and path[-1] in {"table", "key"}:
        return {"table": 'table = "credits"', "key": 'key = "user_id"'}[path[-1]]
    return _MISSING.get(path[-1])
