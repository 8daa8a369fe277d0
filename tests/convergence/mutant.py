"""A fault that is put into the code on purpose."""

from dataclasses import dataclass
from typing import Final

LAYER: Final = "layers/clerksync/clerksync"
SQL: Final = f"{LAYER}/write/upsert_sql.py"
DELETION: Final = f"{LAYER}/write/deletion_sql.py"
EMAIL: Final = f"{LAYER}/write/email_sql.py"
PARTS: Final = f"{LAYER}/write/mapped_sql.py"
COMPANIONS: Final = f"{LAYER}/write/companion_sql.py"
SWEEP: Final = f"{LAYER}/bulk/orphan_sweep.py"
RUN: Final = f"{LAYER}/bulk/run.py"
NOT_NULL: Final = "tests/integration/mapping"
INTERLEAVINGS: Final = "tests/integration/write/test_interleavings.py"


@dataclass(frozen=True, slots=True)
class Edit:
    """Every occurrence of a fragment is replaced."""

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    name: str
    edits: tuple[Edit, ...]
    test: str | None = None
    """What must fail, where a short campaign can't show the fault: pytest's name."""
    why: str = ""
    """Why it can't."""
