"""How an owner adds a column that clerksync needs, in the language of their tool."""

from collections.abc import Iterable
from typing import Final

from local.map.catalog import MapTable

# The next push of a tool drops a column that only SQL has added.
_BY_TOOL: Final = {
    "Prisma": "In its Prisma model, add `{name} String? @unique`",
    "Drizzle": 'In its Drizzle table, add `{name}: text("{name}").unique()`',
    "Django": (
        "In its Django model, add `{name} = models.CharField(max_length=255, "
        "unique=True, null=True)`"
    ),
    "Alembic": (
        "In its SQLAlchemy model, add `{name}: Mapped[str | None] = "
        "mapped_column(unique=True)`"
    ),
    "Rails": (
        "In a Rails migration, write `add_column :{table}, :{name}, :string` and "
        "`add_index :{table}, :{name}, unique: true`"
    ),
    "Laravel": (
        "In a Laravel migration, write `$table->string('{name}')->nullable()->unique()`"
    ),
    "Ecto": (
        "In an Ecto migration, write `add :{name}, :string` and "
        "`create unique_index(:{table}, [:{name}])`"
    ),
}


def how_to_add(table: MapTable, name: str, tools: Iterable[str]) -> str:
    """Return sentences that say how to add a unique text column."""
    sql = f"ALTER TABLE {table.quoted} ADD COLUMN {name} text UNIQUE;"
    names = {*tools}
    way = next((text for tool, text in _BY_TOOL.items() if tool in names), None)
    if way is None:
        return f"Add one: {sql}"
    way = way.format(name=name, table=table.name)
    return f"{way}. Or, if no tool manages this table, run: {sql}"
