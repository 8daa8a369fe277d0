"""Mappings as people write them: TOML files, packaged here or named by a path."""

import tomllib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Final, get_args

from pydantic_core import CoreSchema, SchemaValidator, ValidationError, core_schema

from clerksync.errors import InvalidSettingError, NoMappingError
from clerksync.mapping.line_numbers import KeyPath, Lines, innermost, lines_of
from clerksync.mapping.malformed import said
from clerksync.mapping.problems import problems, type_of
from clerksync.mapping.table import (
    Column,
    ColumnType,
    Companion,
    Deletion,
    Generated,
    OwnId,
    TableMapping,
    Values,
)
from clerksync.text_files import read_text

FOLDER: Final = resources.files("clerksync.mapping") / "presets"

_ROLES: Final = ("key", "tier", "created_at", "updated_at", "deleted_at")
_IMPERSONAL: Final = frozenset(
    {"banned", "clerk_id", "created_at", "updated_at", "locked"}
)

_Given = Mapping[str, Any]
"""A part of the file that has been checked. What is optional may be missing."""
_LinesOfNames = dict[tuple[str, str | None], int]
"""By table and column; None is for the table itself."""

_settings: Final[set[str]] = set()
"""The names of all that a mapping may have."""


def _section(
    required: Mapping[str, CoreSchema], optional: Mapping[str, CoreSchema] | None = None
) -> CoreSchema:
    """Describe a table of TOML that has these settings, and no others."""
    optional = optional or {}
    _settings.update(required, optional)
    fields = {n: core_schema.typed_dict_field(s) for n, s in required.items()}
    for name, schema in optional.items():
        fields[name] = core_schema.typed_dict_field(schema, required=False)
    return core_schema.typed_dict_schema(
        fields, extra_behavior="forbid", config=core_schema.CoreConfig(strict=True)
    )


def _as_values(value: Any) -> Any:
    """`["a", "b"]` is short for `{ a = "a", b = "b" }`."""
    is_list = isinstance(value, list) and all(isinstance(v, str) for v in value)
    return {text: text for text in value} if is_list else value


def _as_tier(value: Any) -> Any:
    """`tier = "column"` is short for `tier = { column = "column" }`."""
    return {"column": value} if isinstance(value, str) else value


def _as_source(value: Any) -> Any:
    """`column = "field"` is short for `column = { from = "field" }`."""
    return {"from": value} if isinstance(value, str) else value


# The shape of a file, as the core of pydantic takes it: each cold start builds this,
# and models of the same shape take sixteen times as long to build.
_written_as = core_schema.no_info_before_validator_function
_TEXT: Final = core_schema.str_schema()
_YES_OR_NO: Final = core_schema.bool_schema()
# The write path quotes names: a keyword does no harm.
_NAME: Final = core_schema.str_schema(pattern=r"^[\w$ -]+$", max_length=63)
_CONSTANT: Final = core_schema.union_schema(
    [_TEXT, core_schema.int_schema(), core_schema.float_schema(), _YES_OR_NO]
)
_CONSTANTS: Final = core_schema.dict_schema(_NAME, _CONSTANT)
_VALUES: Final = _written_as(
    _as_values, core_schema.dict_schema(_TEXT, _TEXT, min_length=1)
)
_OWN_ID: Final = _section(
    {"column": _NAME, "generate": core_schema.literal_schema([*get_args(Generated)])}
)
_TIMES: Final = {"created_at": _NAME, "updated_at": _NAME}
_TABLE: Final = _section(
    {"name": _NAME, "key": _NAME},
    {
        "schema": _NAME,
        "id": _OWN_ID,
        "tier": _written_as(_as_tier, _section({"column": _NAME}, {"values": _VALUES})),
        **_TIMES,
        "deleted_at": _NAME,
        "deletion": core_schema.literal_schema([*get_args(Deletion)]),
        "email_unique": _YES_OR_NO,
        "email_not_null": _YES_OR_NO,
        "email": _NAME,
        "deleted_email": _TEXT,
        "rate_limits": _YES_OR_NO,
    },
)
_SOURCE: Final = _section(
    {"from": _TEXT},
    {
        "type": core_schema.literal_schema([*get_args(ColumnType)]),
        "or": _CONSTANT,
        "values": _VALUES,
        "truncate": core_schema.int_schema(gt=0),
    },
)
_COMPANION: Final = _section(
    {"table": _NAME, "key": _NAME, "references": _NAME},
    {"id": _OWN_ID, **_TIMES, "values": _CONSTANTS},
)
_FILE: Final = SchemaValidator(
    _section(
        {
            "table": _TABLE,
            "columns": core_schema.dict_schema(_NAME, _written_as(_as_source, _SOURCE)),
        },
        {
            "defaults": _CONSTANTS,
            "companions": core_schema.list_schema(_COMPANION),
        },
    )
)


@lru_cache
def load(name_or_path: str) -> TableMapping:
    """A mapping that comes with clerksync, by its name, or one from a TOML file.

    Raises InvalidSettingError with file, line and reason. Read once per process.
    """
    is_name = "/" not in name_or_path and not name_or_path.endswith(".toml")
    file = FOLDER / f"{name_or_path}.toml" if is_name else Path(name_or_path)
    try:
        text = read_text(file, called=f"Mapping {name_or_path}")
    except FileNotFoundError:
        message = (
            "CLERKSYNC_MAPPING names no mapping that can be read. Use one of "
            f"{', '.join(presets())}, or the path of a TOML file."
        )
        raise NoMappingError(message, name_or_path) from None
    return parse(text, name=name_or_path)


def presets() -> list[str]:
    """The names of the mappings that come with clerksync."""
    names = (entry.name for entry in FOLDER.iterdir())
    return sorted(name[:-5] for name in names if name.endswith(".toml"))


def parse(text: str, *, name: str) -> TableMapping:
    """Raises InvalidSettingError, as `load`."""
    try:
        given = tomllib.loads(f"{text}\n")
    except tomllib.TOMLDecodeError as error:
        raise InvalidSettingError(f"Mapping {name}: {error}.") from None
    lines = lines_of(text)
    try:
        file: _Given = _FILE.validate_python(given)
    except ValidationError as error:
        found = error.errors()
        first = next((e for e in found if e["type"] == "extra_forbidden"), found[0])
        path = tuple(str(part) for part in first["loc"] if part != "[key]")
        reason = said(first, path, lines, _settings)
        raise _refusal(name, lines, path, reason) from None
    mapping = _mapping(file, name, _lines_of_names(file, lines))
    for path, reason in problems(mapping):
        raise _refusal(name, lines, path, reason)
    return mapping


def _mapping(file: _Given, name: str, lines: _LinesOfNames) -> TableMapping:
    table: _Given = file["table"]
    tier: _Given = table.get("tier", {})
    companions = [_companion(companion) for companion in file.get("companions", ())]
    if table.get("rate_limits", False):
        buckets = Companion("rate_limits", "user_id", table["key"], is_rate_limits=True)
        companions.insert(0, buckets)
    return TableMapping(
        table=table["name"],
        key=table["key"],
        columns=tuple(_column(n, source) for n, source in file["columns"].items()),
        schema=table.get("schema"),
        own_id=_own_id(table.get("id")),
        tier=tier.get("column"),
        tier_values=_pairs(tier.get("values")),
        created_at=table.get("created_at"),
        updated_at=table.get("updated_at"),
        deleted_at=table.get("deleted_at"),
        deletion=table.get("deletion", "hard"),
        email_unique=table.get("email_unique", True),
        email_not_null=table.get("email_not_null", False),
        email_column=table.get("email"),
        deleted_email=table.get("deleted_email"),
        defaults=file.get("defaults", {}),
        companions=tuple(companions),
        name=name,
        lines=lines,
    )


def _companion(given: _Given) -> Companion:
    return Companion(
        table=given["table"],
        key=given["key"],
        references=given["references"],
        values=given.get("values", {}),
        own_id=_own_id(given.get("id")),
        created_at=given.get("created_at"),
        updated_at=given.get("updated_at"),
    )


def _own_id(given: _Given | None) -> OwnId | None:
    return OwnId(given["column"], given["generate"]) if given else None


def _column(name: str, given: _Given) -> Column:
    source: str = given["from"]
    root = source.removeprefix("not ").partition(".")[0]
    values = _pairs(given.get("values"))
    return Column(
        name,
        source,
        given.get("type") or ("text" if values else type_of(source)),
        personal=root not in _IMPERSONAL,
        otherwise=given.get("or"),
        values=values,
        truncate=given.get("truncate"),
    )


def _pairs(values: dict[str, str] | None) -> Values:
    return tuple((values or {}).items())


def _refusal(name: str, lines: Lines, path: KeyPath, why: str) -> InvalidSettingError:
    path = innermost(path, lines)
    where = f", line {lines[path]}" if path else ""
    return InvalidSettingError(f"Mapping {name}{where}: {why}.")


def _lines_of_names(file: _Given, lines: Lines) -> _LinesOfNames:
    """Where each table, and each column of it, is named first."""
    found: _LinesOfNames = {}
    for table, column, path in _names(file):
        found.setdefault((table, column), lines.get(innermost(path, lines), 1))
    return found


def _names(file: _Given) -> Iterator[tuple[str, str | None, KeyPath]]:
    table: _Given = file["table"]
    target: str = table["name"]
    yield target, None, ("table", "name")
    yield from _columns(table, target, ("table",))
    for part in ("columns", "defaults"):
        for column in file.get(part, ()):
            yield target, column, (part, column)
    if table.get("rate_limits", False):
        for ours in ("rate_limits", "tiers"):
            yield ours, None, ("table", "rate_limits")
    for number, companion in enumerate(file.get("companions", ())):
        theirs, where = companion["table"], ("companions", str(number))
        yield theirs, None, (*where, "table")
        yield from _columns(companion, theirs, where)
        for column in companion.get("values", ()):
            yield theirs, column, (*where, "values", column)
        yield target, companion["references"], (*where, "references")


def _columns(
    part: _Given, table: str, where: KeyPath
) -> Iterator[tuple[str, str, KeyPath]]:
    """Those that have a role."""
    for role in _ROLES:
        if column := part.get(role):
            is_name = isinstance(column, str)
            yield table, column if is_name else column["column"], (*where, role)
    if "id" in part:
        yield table, part["id"]["column"], (*where, "id", "column")


DEFAULT: Final = load("default")
