"""A mapping in the making: its entries, and what is left to decide."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from clerksync.mapping.table import Constant
from local.map.catalog import MapColumn, MapTable

Value = Constant | Mapping[str, Constant]


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the file."""

    name: str
    value: Value
    note: str | None = None
    """A comment behind it."""
    is_suggestion: bool = False
    """Written as a comment: it counts only if the owner wants it."""


@dataclass(frozen=True, slots=True)
class CompanionDraft:
    """A table with a row for each user."""

    entries: list[Entry]
    values: list[Entry]
    note: str
    is_suggestion: bool = False


@dataclass(slots=True)
class Draft:
    """What was found out about a table so far."""

    table: MapTable
    settings: list[Entry] = field(default_factory=list)
    columns: list[Entry] = field(default_factory=list)
    defaults: list[Entry] = field(default_factory=list)
    companions: list[CompanionDraft] = field(default_factory=list)
    decisions: list[str] = field(default_factory=list)
    """What only the owner can decide: one line each, with what to do."""
    claimed: set[str] = field(default_factory=set)
    """Columns that have a place in the file."""
    key: str = ""
    email_not_null: bool = False

    def free(self) -> list[MapColumn]:
        """Columns that nothing has claimed, in the order of the table."""
        return [
            column
            for column in self.table.columns.values()
            if column.name not in self.claimed and not column.found.not_writable
        ]

    def set(self, name: str, value: Value, note: str | None = None) -> None:
        """Add a line to [table]."""
        self.settings.append(Entry(name, value, note))

    def give_role(self, role: str, column: str, note: str | None = None) -> None:
        """Add a line to [table] that names a column."""
        self.set(role, column, note)
        self.claimed.add(column)

    def fill(
        self,
        column: str,
        source: Value,
        note: str | None = None,
        *,
        suggest: bool = False,
    ) -> None:
        """Add a line to [columns]. A suggestion claims the column, too."""
        self.columns.append(Entry(column, source, note, is_suggestion=suggest))
        self.claimed.add(column)

    def start_with(
        self, column: str, value: str | float | bool, note: str | None = None
    ) -> None:
        """Add a line to [defaults]."""
        self.defaults.append(Entry(column, value, note))
        self.claimed.add(column)
