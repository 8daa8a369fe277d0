"""In which schema clerksync's own tables are, and in which the application's.

Tools that manage an application's schema drop or report tables that they do not know.
A schema of their own keeps clerksync's tables out of that.
"""

from dataclasses import replace
from functools import lru_cache
from typing import Final

from clerksync.mapping.file import DEFAULT
from clerksync.mapping.table import Deletion, TableMapping

PUBLIC: Final = "public"
OWN: Final = "clerksync"
"""Where clerksync's tables are by default if the users table is the application's."""


def default_schema(mapping: str | None) -> str:
    """Return where clerksync's tables are if CLERKSYNC_SCHEMA is not set, by the value
    of CLERKSYNC_MAPPING."""
    return PUBLIC if mapping in {None, DEFAULT.name} else OWN


def target_schema(mapping: TableMapping, schema: str) -> str:
    """Return where the target table is if clerksync's own tables are in `schema`.

    No application has its tables in `clerksync`, so a mapping that does not name a
    schema then means `public`.
    """
    if mapping.schema is not None:
        return mapping.schema
    return PUBLIC if schema == OWN and mapping != DEFAULT else schema


def placed(mapping: TableMapping, schema: str) -> TableMapping:
    """Return the mapping with the schema of its table."""
    target = target_schema(mapping, schema)
    if target == (mapping.schema or schema):
        return mapping
    return _placed(mapping, target, mapping.deletion)


@lru_cache
def _placed(mapping: TableMapping, target: str, deletion: Deletion) -> TableMapping:
    """Kept, because a mapping keeps what it has once made. Mappings that differ only
    in `deletion` count as equal, so that is named beside them."""
    return replace(mapping, schema=target, deletion=deletion, schema_is_default=True)
