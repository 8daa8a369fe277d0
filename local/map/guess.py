"""Draft the mapping of a table: every guess, in the order in which each is made."""

import re
from collections.abc import Iterable
from typing import Final

from local.map.catalog import MapTable
from local.map.companions import companions_of
from local.map.draft import Draft
from local.map.keys import key_of, own_id_of
from local.map.required import required_of
from local.map.sources import (
    deletion_of,
    email_of,
    overwritten_by,
    sources_of,
    suggestions_of,
    tier_of,
    times_of,
)

_NAME: Final = re.compile(r"[\w$ -]{1,63}")


def draft_of(table: MapTable, tools: Iterable[str]) -> Draft:
    """Return a mapping of the table, with what is left to decide.

    `tools` are the names of the tools that migrate the database.
    """
    names = frozenset(tools)
    draft = Draft(table)
    draft.set("schema", table.schema)
    draft.set("name", table.name)
    draft.claimed = {name for name in table.columns if not _NAME.fullmatch(name)}
    key_of(draft, names)
    own_id_of(draft, names)
    email_of(draft, names)
    times_of(draft)
    sources_of(draft)
    tier_of(draft)
    deletion_of(draft)
    required_of(draft)
    suggestions_of(draft)
    companions_of(draft, names)
    overwritten_by(draft)
    _deletions(draft)
    return draft


def _deletions(draft: Draft) -> None:
    """Name the foreign keys that block a deletion of the row itself."""
    is_kept = any(e.name == "deletion" and e.value != "hard" for e in draft.settings)
    if (blocking := draft.table.blocked_by) and not is_kept:
        block = "blocks" if len(blocking) == 1 else "block"
        draft.decisions.append(
            f"Deletions: {', '.join(blocking)} {block} the deletion of a user who has "
            "rows there. Choose ON DELETE CASCADE or SET NULL for each foreign key; "
            "clerksync doctor shows the statements."
        )
