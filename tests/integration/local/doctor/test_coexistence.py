"""clerksync's tables beside a tool that manages the schema of the application."""

from pathlib import Path

import psycopg
import pytest

from tests.integration.local.doctor.examining import Doctor
from tests.integration.local.test_migration_tools import TABLES
from tests.terminal import clerksync_here

pytestmark = pytest.mark.alters_schema

_MAPPING = """
[table]
name = "members"
key = "clerk_id"

[columns]
email = "email"
"""
_DROP = {
    "Prisma": "`prisma db push` drops them",
    "Drizzle": "`drizzle-kit push` drops tables",
    "Alembic": "`alembic revision --autogenerate` writes a DROP TABLE",
}
_FILTERS = {
    "Prisma": 'tables.external, each with its schema: "public.clerksync_migrations"',
    "Drizzle": 'add to tablesFilter: "!clerksync_migrations"',
    "Alembic": "include_name that returns False for the tables clerksync_migrations",
}
_CASCADES = {
    "Prisma": "add onDelete: Cascade to the @relation of posts.author_id",
    "Drizzle": "references(() => members.clerk_id, { onDelete: 'cascade' })",
    "Alembic": 'ForeignKey("members.clerk_id", ondelete="CASCADE")',
    "Django": "on_delete=models.DB_CASCADE at posts.author_id",
    "Rails": 'add_foreign_key "posts", "members", column: "author_id"',
    "Laravel": "->references('clerk_id')->on('members')->cascadeOnDelete();",
    "Ecto": 'drop constraint(:posts, "posts_author_id_fkey")',
    "Supabase": "Put the statement into a migration of Supabase.",
}


@pytest.fixture
def mapped(doctor: Doctor, connection: psycopg.Connection, tmp_path: Path) -> Doctor:
    """An application with a table of members, and nothing of clerksync yet."""
    connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    connection.execute(
        "CREATE TABLE members (clerk_id text UNIQUE, email text UNIQUE);"
        "CREATE TABLE posts (author_id text REFERENCES members (clerk_id))"
    )
    file = tmp_path / "members.toml"
    file.write_text(_MAPPING)
    doctor.settings["CLERKSYNC_MAPPING"] = str(file)
    return doctor


def migrate(doctor: Doctor, *options: str, **settings: str) -> None:
    everything = doctor.settings | settings
    done = clerksync_here("migrate", *options, cwd=doctor.folder, **everything)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("tool", _DROP)
def test_a_tool_that_would_drop_clerksyncs_tables_is_named(
    mapped: Doctor, connection: psycopg.Connection, tool: str
) -> None:
    """With what its next push does, and the command that moves them out of its way."""
    connection.execute(TABLES[tool])
    migrate(mapped, CLERKSYNC_SCHEMA="public")
    level, message = mapped(CLERKSYNC_SCHEMA="public").one("other tools")
    assert level == "warning"
    assert f"{tool} manages this database" in message
    assert _DROP[tool] in message
    assert message.endswith("To move them, run: clerksync migrate --move-to clerksync")
    migrate(mapped, "--move-to", "clerksync", CLERKSYNC_SCHEMA="public")
    if tool == "Drizzle":  # which may drop the whole schema, unless it is told not to
        level, message = mapped().one("other tools")
        assert level == "warning"
        assert 'schemaFilter: ["public"]' in message
        config = mapped.folder / "drizzle.config.ts"
        config.write_text('export default { schemaFilter: ["public"] };')
    assert mapped().one("other tools") == (
        "ok",
        f"No tool is known to drop clerksync's tables ({tool} found).",
    )


def test_a_tool_that_leaves_no_trace_is_warned_of(mapped: Doctor) -> None:
    """`prisma db push` and `drizzle-kit push` keep no table of their own."""
    migrate(mapped, CLERKSYNC_SCHEMA="public")
    level, message = mapped(CLERKSYNC_SCHEMA="public").one("other tools")
    assert level == "warning"
    assert "`drizzle-kit push`" in message
    assert "clerksync migrate --move-to clerksync" in message


def test_a_new_installation_is_out_of_every_tools_way(mapped: Doctor) -> None:
    """In its schema of its own, before and after the first migration."""
    assert mapped().level("other tools") == "ok"
    migrate(mapped)
    assert mapped().level("other tools") == "ok"


def test_tables_of_an_earlier_version_are_explained(mapped: Doctor) -> None:
    """The setting that keeps them, and the command that moves them."""
    migrate(mapped, CLERKSYNC_SCHEMA="public")
    examined = mapped()
    assert examined.wrong == {"schema"}
    message = examined.one("schema")[1]
    assert "set CLERKSYNC_SCHEMA=public" in message
    assert "clerksync migrate --move-to clerksync" in message
    assert examined.one("other tools") == ("skipped", "Waits for: schema.")


@pytest.mark.parametrize("tool", _DROP)
def test_with_the_default_mapping_the_tool_is_told_to_leave_the_tables_alone(
    doctor: Doctor, connection: psycopg.Connection, tool: str
) -> None:
    """They cannot move: the application's own statements name them."""
    connection.execute(TABLES[tool])
    level, message = doctor().one("other tools")
    assert level == "warning"
    assert _FILTERS[tool] in message
    assert "--move-to" not in message


@pytest.mark.parametrize("tool", ["Django", "Rails", "Laravel"])
def test_a_tool_that_drops_nothing_is_only_named(
    doctor: Doctor, connection: psycopg.Connection, tool: str
) -> None:
    """It leaves unknown tables alone."""
    connection.execute(TABLES[tool])
    assert doctor().one("other tools") == (
        "ok",
        f"No tool is known to drop clerksync's tables ({tool} found).",
    )


@pytest.mark.parametrize("tool", _CASCADES)
def test_a_cascade_is_shown_in_the_language_of_the_tool(
    mapped: Doctor, connection: psycopg.Connection, tool: str
) -> None:
    """Besides the SQL, which the next push would undo."""
    connection.execute(TABLES[tool])
    migrate(mapped)
    level, message = mapped().one("foreign keys")
    assert level == "warning"
    assert "ON DELETE CASCADE" in message
    assert _CASCADES[tool] in message


@pytest.mark.parametrize("table", ["django_admin_log", "members_groups"])
def test_tables_that_django_makes_itself_have_no_model_to_change(
    mapped: Doctor, connection: psycopg.Connection, table: str
) -> None:
    """The owner cannot edit it: only SQL changes its foreign key."""
    connection.execute(TABLES["Django"])
    connection.execute(f"ALTER TABLE posts RENAME TO {table}".encode())
    migrate(mapped)
    message = mapped().one("foreign keys")[1]
    assert "as migrations.RunSQL" in message
    assert "models.DB_CASCADE" not in message


def test_tables_that_were_dropped_are_not_taken_for_a_new_installation(
    mapped: Doctor, connection: psycopg.Connection
) -> None:
    """The ledger shows that they were there. The advice brings them back."""
    migrate(mapped)
    connection.execute("DROP TABLE clerksync.sync_state")
    level, message = mapped().one("other tools")
    assert level == "wrong"
    assert "tables are missing from the schema clerksync" in message
    statement = message[message.index("DROP TABLE") :].partition(";")[0]
    connection.execute(statement.encode())
    migrate(mapped)
    assert mapped().level("other tools") == "ok"


def test_a_table_of_the_application_without_a_mapping_leads_to_map(
    doctor: Doctor, connection: psycopg.Connection
) -> None:
    """By default, users is clerksync's own table."""
    connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    connection.execute("CREATE TABLE users (id serial PRIMARY KEY, email text)")
    level, message = doctor().of("table")[0]
    assert level == "wrong"
    assert "run clerksync map, which writes a mapping for it" in message


def test_without_a_known_tool_the_usual_ones_are_named(mapped: Doctor) -> None:
    """A tool that only pushes keeps no table of its own."""
    migrate(mapped)
    message = mapped().one("foreign keys")[1]
    assert "onDelete: Cascade (Prisma), { onDelete: 'cascade' } (Drizzle)" in message
