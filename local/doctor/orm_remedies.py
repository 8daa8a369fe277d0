"""What to write in the files of a tool that manages the application's schema."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from local.migration_tools import Tool


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key of one column, by the names that a schema file has for it."""

    name: str
    table: str
    column: str
    target: str
    target_column: str


_DJANGOS_OWN: Final = ("auth_", "authtoken_", "account_", "socialaccount_", "django_")
"""How tables begin that belong to Django, or to packages that many use with it."""


def _prisma(key: ForeignKey) -> str:
    return (
        f"The Prisma schema must say it too, or `prisma db push` undoes it: add "
        f"onDelete: Cascade to the @relation of {key.table}.{key.column}."
    )


def _drizzle(key: ForeignKey) -> str:
    return (
        "The Drizzle schema must say it too, or `drizzle-kit push` undoes it: "
        f"references(() => {key.target}.{key.target_column}, {{ onDelete: 'cascade' }})"
        f" at {key.table}.{key.column}."
    )


def _alembic(key: ForeignKey) -> str:
    return (
        "The SQLAlchemy model must say it too, or `alembic revision --autogenerate` "
        f'undoes it: ForeignKey("{key.target}.{key.target_column}", '
        f'ondelete="CASCADE") at {key.table}.{key.column}.'
    )


def _django(key: ForeignKey) -> str:
    # A relation of many to many has a table that is named after its model.
    is_automatic = key.table.startswith((f"{key.target}_", *_DJANGOS_OWN))
    if is_automatic:
        return (
            f"Django or a package of it made {key.table}, so no model of yours can say "
            "it: put the statement into a migration, as migrations.RunSQL. on_delete "
            "of models.CASCADE works in Django only, and clerksync deletes with SQL."
        )
    return (
        "In Django 6.1 or newer, the model can say it: on_delete=models.DB_CASCADE at "
        f"{key.table}.{key.column}. models.CASCADE never reaches the database. Before "
        "6.1, put the statement into a migration, as migrations.RunSQL."
    )


def _rails(key: ForeignKey) -> str:
    return (
        f'In Rails, write a migration: remove_foreign_key "{key.table}", column: '
        f'"{key.column}"; add_foreign_key "{key.table}", "{key.target}", column: '
        f'"{key.column}", primary_key: "{key.target_column}", on_delete: :cascade'
    )


def _laravel(key: ForeignKey) -> str:
    return (
        f"In Laravel, write a migration for the table {key.table}: "
        f"$table->dropForeign(['{key.column}']); $table->foreign('{key.column}')"
        f"->references('{key.target_column}')->on('{key.target}')->cascadeOnDelete();"
    )


def _ecto(key: ForeignKey) -> str:
    return (
        f'In Ecto, write a migration: drop constraint(:{key.table}, "{key.name}"), '
        f"then modify :{key.column}, references(:{key.target}, "
        f"column: :{key.target_column}, on_delete: :delete_all)"
    )


_CASCADES: Final[dict[str, Callable[[ForeignKey], str]]] = {
    "Prisma": _prisma,
    "Drizzle": _drizzle,
    "Alembic": _alembic,
    "Django": _django,
    "Rails": _rails,
    "Laravel": _laravel,
    "Ecto": _ecto,
}
_NO_TOOL: Final = (
    "If a tool manages the schema, its schema file must say it too, or its next push "
    "undoes it: onDelete: Cascade (Prisma), { onDelete: 'cascade' } (Drizzle), "
    'ondelete="CASCADE" (SQLAlchemy).'
)
_FILTERS: Final = {
    "Prisma": (
        "In prisma.config.ts, set experimental.externalTables to true and list them in "
        "tables.external, each with its schema: {qualified}"
    ),
    "Drizzle": "In drizzle.config.ts, add to tablesFilter: {excluded}",
    "Alembic": (
        "In env.py, give context.configure an include_name that returns False for the "
        "tables {names}"
    ),
}


def cascade_hints(tools: list[Tool], key: ForeignKey) -> str:
    """Return how each tool says ON DELETE CASCADE for a foreign key, in its own
    language; a hint for the usual tools if none is recognised."""
    hints = [
        _CASCADES[tool.name](key)
        if tool.name in _CASCADES
        else f"Put the statement into a migration of {tool.name}."
        for tool in tools
    ]
    return " ".join(hints) or _NO_TOOL


def filter_hint(tool: Tool, schema: str, tables: list[str]) -> str:
    """Return how to tell a tool to leave tables of a schema alone."""
    qualified = ", ".join(f'"{schema}.{name}"' for name in tables)
    excluded = ", ".join(f'"!{name}"' for name in tables)
    hint = _FILTERS.get(tool.name, "Tell the tool to ignore the tables {names}")
    names = ", ".join(tables)
    return hint.format(qualified=qualified, excluded=excluded, names=names) + "."
