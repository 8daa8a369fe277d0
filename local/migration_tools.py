"""Which tools manage the schema of a database: their migration tables show it."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, LiteralString

import psycopg


@dataclass(frozen=True, slots=True)
class MigrationTable:
    """How to recognise a tool."""

    tool: str
    """The name of the tool, as its users write it."""
    schema: str | None
    """None: any schema."""
    table: str
    columns: frozenset[str]
    """Columns that tell its table from others of the same name."""
    unknown_tables: str | None = None
    """A sentence: what the tool does to tables that its own schema does not have; None
    if it leaves them alone."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that has applied migrations to this database."""

    name: str
    schema: str
    """The schema of its migration table."""
    table: str
    unknown_tables: str | None


_PRISMA: Final = (
    "`prisma migrate dev` reports tables that are not in the Prisma schema as drift, "
    "and `prisma db push` drops them."
)
_DRIZZLE: Final = "`drizzle-kit push` drops tables that are not in the Drizzle schema."
_ALEMBIC: Final = (
    "`alembic revision --autogenerate` writes a DROP TABLE for tables that are not in "
    "the models."
)

MIGRATION_TOOLS: Final = (
    MigrationTable(
        "Prisma",
        None,
        "_prisma_migrations",
        frozenset({"checksum", "migration_name"}),
        _PRISMA,
    ),
    MigrationTable(
        "Drizzle",
        None,
        "__drizzle_migrations",
        frozenset({"hash", "created_at"}),
        _DRIZZLE,
    ),
    MigrationTable(
        "Django", None, "django_migrations", frozenset({"app", "name", "applied"})
    ),
    MigrationTable(
        "Alembic", None, "alembic_version", frozenset({"version_num"}), _ALEMBIC
    ),
    # schema_migrations alone could belong to several tools.
    MigrationTable("Rails", None, "ar_internal_metadata", frozenset({"key", "value"})),
    MigrationTable("Laravel", None, "migrations", frozenset({"migration", "batch"})),
    MigrationTable(
        "Ecto", None, "schema_migrations", frozenset({"version", "inserted_at"})
    ),
    MigrationTable(
        "Supabase",
        "supabase_migrations",
        "schema_migrations",
        frozenset({"version", "statements"}),
    ),
    MigrationTable("Knex", None, "knex_migrations", frozenset({"name", "batch"})),
    MigrationTable("TypeORM", None, "migrations", frozenset({"timestamp", "name"})),
    MigrationTable("Sequelize", None, "SequelizeMeta", frozenset({"name"})),
    MigrationTable(
        "Flyway",
        None,
        "flyway_schema_history",
        frozenset({"installed_rank", "checksum"}),
    ),
    MigrationTable(
        "Liquibase", None, "databasechangelog", frozenset({"md5sum", "orderexecuted"})
    ),
    MigrationTable(
        "golang-migrate", None, "schema_migrations", frozenset({"version", "dirty"})
    ),
    MigrationTable("goose", None, "goose_db_version", frozenset({"version_id"})),
    MigrationTable("node-pg-migrate", None, "pgmigrations", frozenset({"run_on"})),
)

# The catalog shows tables that the role may not read, too.
_CANDIDATES: LiteralString = """
    SELECT n.nspname::text, c.relname::text, a.attname::text
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_attribute AS a ON a.attrelid = c.oid
    WHERE c.relkind IN ('r', 'p') AND c.relname = ANY (%s)
      AND a.attnum > 0 AND NOT a.attisdropped
      AND n.nspname !~ '^(pg_|information_schema$)'
    ORDER BY 1, 2
"""


def recognise(connection: psycopg.Connection) -> list[Tool]:
    """Return the tools whose migration tables are in the database.

    Read only the catalog. A tool that keeps no record (`drizzle-kit push`,
    `prisma db push`) is not recognised.
    """
    names = [known.table for known in MIGRATION_TOOLS]
    columns: dict[tuple[str, str], set[str]] = defaultdict(set)
    for schema, table, column in connection.execute(_CANDIDATES, [names]):
        columns[schema, table].add(column)
    return [*_matches(columns)]


def _matches(columns: dict[tuple[str, str], set[str]]) -> Iterator[Tool]:
    for known in MIGRATION_TOOLS:
        for (schema, table), found in columns.items():
            if (
                table == known.table
                and known.schema in {None, schema}
                and known.columns <= found
            ):
                yield Tool(known.tool, schema, table, known.unknown_tables)
