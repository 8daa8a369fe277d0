"""Why a mapped column has to take NULL, and what to write so that it need not."""

from typing import Final

from clerksync.mapping.as_toml import DELETED_EMAIL, entry, stand_in, toml, toml_name
from clerksync.mapping.table import Column, TableMapping

_NOTHING: Final = "Clerk may have nothing for it"
_UNIQUE_TOO: Final = (
    f"{_NOTHING}. It is unique, too, so no constant can stand in: drop NOT NULL, or "
    "write what every user has: "
)
# Clerk always gives these; and metadata that is empty is {}.
ALWAYS: Final = frozenset(
    {"clerk_id", "created_at", "updated_at", "public_metadata"}
    | {"not banned", "not locked"}
)


def why_nullable(column: Column, mapping: TableMapping) -> str | None:
    """Return why a column has to take NULL, with the line of the mapping that changes
    that; None if it need not."""
    if column.name == mapping.email:
        if not mapping.email_not_null:
            return "an email can be lost. Add to [table]: email_not_null = true"
        if mapping.deletion == "soft" and mapping.deleted_email is None:
            line = f"deleted_email = {toml(DELETED_EMAIL)}"
            return f"a soft deletion empties it. Add to [table]: {line}"
        return None
    if column.otherwise is not None:
        return None
    line = entry(column, {"or": stand_in(column)})
    is_emptied = mapping.deletion == "soft" and column.personal
    why = "a soft deletion empties it" if is_emptied else None
    if column.source not in ALWAYS:
        why = _NOTHING
    return why and f"{why}: say what to write then, as in {line}"


def if_unique_too(why: str, column: Column) -> str:
    """Return the reason for a column that is also unique: no constant can stand in."""
    if not why.startswith(_NOTHING):
        return why
    return f'{_UNIQUE_TOO}{toml_name(column.name)} = "clerk_id"'
