"""Mappings as people write them: TOML files, packaged here or named by a path."""

import tomllib
from collections.abc import Iterator
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

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

# The write path quotes names: a keyword does no harm.
_Name = Annotated[str, StringConstraints(pattern=r"^[\w$ -]+$", max_length=63)]
_Constant = str | int | float | bool
_ROLES: Final = ("key", "tier", "created_at", "updated_at", "deleted_at")
_IMPERSONAL: Final = frozenset(
    {"banned", "clerk_id", "created_at", "updated_at", "locked"}
)

_LinesOfNames = dict[tuple[str, str | None], int]
"""By table and column; None is for the table itself."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True, strict=True)


class _OwnId(_Strict):
    column: _Name
    generate: Generated


def _as_values(value: Any) -> Any:
    """`["a", "b"]` is short for `{ a = "a", b = "b" }`."""
    is_list = isinstance(value, list) and all(isinstance(v, str) for v in value)
    return {text: text for text in value} if is_list else value


_Values = Annotated[dict[str, str], BeforeValidator(_as_values), Field(min_length=1)]


class _Tier(_Strict):
    column: _Name
    values: _Values | None = None


def _as_tier(value: Any) -> Any:
    """`tier = "column"` is short for `tier = { column = "column" }`."""
    return {"column": value} if isinstance(value, str) else value


class _Table(_Strict):
    name: _Name
    key: _Name
    schema_: Annotated[_Name | None, Field(alias="schema")] = None
    id: _OwnId | None = None
    tier: Annotated[_Tier | None, BeforeValidator(_as_tier)] = None
    created_at: _Name | None = None
    updated_at: _Name | None = None
    deleted_at: _Name | None = None
    deletion: Deletion = "hard"
    email_unique: bool = True
    email_not_null: bool = False
    email: _Name | None = None
    deleted_email: str | None = None
    rate_limits: bool = False


class _Source(_Strict):
    from_: Annotated[str, Field(alias="from")]
    type: ColumnType | None = None
    otherwise: Annotated[_Constant | None, Field(alias="or")] = None
    values: _Values | None = None
    truncate: Annotated[int | None, Field(gt=0)] = None


def _as_source(value: Any) -> Any:
    """`column = "field"` is short for `column = { from = "field" }`."""
    return {"from": value} if isinstance(value, str) else value


class _Companion(_Strict):
    table: _Name
    key: _Name
    references: _Name
    id: _OwnId | None = None
    created_at: _Name | None = None
    updated_at: _Name | None = None
    values: dict[_Name, _Constant] = {}


class _File(_Strict):
    table: _Table
    columns: dict[_Name, Annotated[_Source, BeforeValidator(_as_source)]]
    defaults: dict[_Name, _Constant] = {}
    companions: list[_Companion] = []


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
        file = _File.model_validate(given)
    except ValidationError as error:
        found = error.errors()
        first = next((e for e in found if e["type"] == "extra_forbidden"), found[0])
        path = tuple(str(part) for part in first["loc"] if part != "[key]")
        raise _refusal(
            name, lines, path, said(first, path, lines, _settings())
        ) from None
    mapping = _mapping(file, name, _lines_of_names(file, lines))
    for path, reason in problems(mapping):
        raise _refusal(name, lines, path, reason)
    return mapping


def _settings() -> set[str]:
    """The names of all that a mapping may have."""
    parts = (_File, _Table, _Tier, _OwnId, _Source, _Companion)
    fields = [field for part in parts for field in part.model_fields.items()]
    return {field.alias or name for name, field in fields}


def _mapping(file: _File, name: str, lines: _LinesOfNames) -> TableMapping:
    table = file.table
    companions = [_companion(companion) for companion in file.companions]
    if table.rate_limits:
        buckets = Companion("rate_limits", "user_id", table.key, is_rate_limits=True)
        companions.insert(0, buckets)
    return TableMapping(
        table=table.name,
        key=table.key,
        columns=tuple(_column(n, source) for n, source in file.columns.items()),
        schema=table.schema_,
        own_id=_own_id(table.id),
        tier=table.tier.column if table.tier else None,
        tier_values=_pairs(table.tier.values if table.tier else None),
        created_at=table.created_at,
        updated_at=table.updated_at,
        deleted_at=table.deleted_at,
        deletion=table.deletion,
        email_unique=table.email_unique,
        email_not_null=table.email_not_null,
        email_column=table.email,
        deleted_email=table.deleted_email,
        defaults=file.defaults,
        companions=tuple(companions),
        name=name,
        lines=lines,
    )


def _companion(given: _Companion) -> Companion:
    return Companion(
        table=given.table,
        key=given.key,
        references=given.references,
        values=given.values,
        own_id=_own_id(given.id),
        created_at=given.created_at,
        updated_at=given.updated_at,
    )


def _own_id(given: _OwnId | None) -> OwnId | None:
    return OwnId(given.column, given.generate) if given else None


def _column(name: str, source: _Source) -> Column:
    root = source.from_.removeprefix("not ").partition(".")[0]
    type_ = source.type or ("text" if source.values else type_of(source.from_))
    return Column(
        name,
        source.from_,
        type_,
        personal=root not in _IMPERSONAL,
        otherwise=source.otherwise,
        values=_pairs(source.values),
        truncate=source.truncate,
    )


def _pairs(values: dict[str, str] | None) -> Values:
    return tuple((values or {}).items())


def _refusal(name: str, lines: Lines, path: KeyPath, why: str) -> InvalidSettingError:
    path = innermost(path, lines)
    where = f", line {lines[path]}" if path else ""
    return InvalidSettingError(f"Mapping {name}{where}: {why}.")


def _lines_of_names(file: _File, lines: Lines) -> _LinesOfNames:
    """Where each table, and each column of it, is named first."""
    found: _LinesOfNames = {}
    for table, column, path in _names(file):
        found.setdefault((table, column), lines.get(innermost(path, lines), 1))
    return found


def _names(file: _File) -> Iterator[tuple[str, str | None, KeyPath]]:
    target = file.table.name
    yield target, None, ("table", "name")
    yield from _columns(file.table, target, ("table",))
    for part in ("columns", "defaults"):
        for column in getattr(file, part):
            yield target, column, (part, column)
    if file.table.rate_limits:
        for ours in ("rate_limits", "tiers"):
            yield ours, None, ("table", "rate_limits")
    for number, companion in enumerate(file.companions):
        table, where = companion.table, ("companions", str(number))
        yield table, None, (*where, "table")
        yield from _columns(companion, table, where)
        for column in companion.values:
            yield table, column, (*where, "values", column)
        yield target, companion.references, (*where, "references")


def _columns(
    part: _Table | _Companion, table: str, where: KeyPath
) -> Iterator[tuple[str, str, KeyPath]]:
    """Those that have a role."""
    for role in _ROLES:
        if column := getattr(part, role, None):
            yield table, getattr(column, "column", column), (*where, role)
    if part.id is not None:
        yield table, part.id.column, (*where, "id", "column")


DEFAULT: Final = load("default")
