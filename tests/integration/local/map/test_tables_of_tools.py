"""The usual users tables of seven tools: what map writes for them can be used."""

from typing import Final

import psycopg
import pytest
from psycopg import sql

from clerksync.mapping.file import load
from local.stub_clerk.stub import StubClerk
from tests.applications import TABLES
from tests.integration.local.map import tables
from tests.integration.local.map.mapper import Mapper

pytestmark = pytest.mark.alters_schema

UNEDITED: Final = {
    "Drizzle": tables.DRIZZLE,
    "SQLAlchemy": tables.SQLALCHEMY,
    "Prisma": tables.PRISMA,
    "Rails": tables.RAILS,
    "plain": tables.PLAIN,
}
WITH_STATEMENTS: Final = {
    "Django": tables.DJANGO,
    "Laravel": tables.LARAVEL,
    "Supabase": tables.SUPABASE,
}


def synced(mapper: Mapper, mapping_key: str, table: str, schema: str) -> list[str]:
    query = sql.SQL("SELECT {} FROM {} ORDER BY 1").format(
        sql.Identifier(mapping_key), sql.Identifier(schema, table)
    )
    return [str(key) for (key,) in mapper.connection.execute(query)]


@pytest.mark.parametrize("tool", UNEDITED)
def test_the_mapping_works_as_it_is_written(
    tool: str, mapper: Mapper, stub: StubClerk
) -> None:
    """All users have rows after the first sync, and the second writes none."""
    mapper.create(UNEDITED[tool])
    mapped = mapper.map()
    assert ("ok", "table") in mapped.levels
    first = mapper.sync()
    assert (first["fetched"], first["created"]) == (stub.count, stub.count)
    assert mapper.sync()["unchanged"] == stub.count
    mapping = mapped.mapping
    rows = synced(mapper, mapping.key, mapping.table, mapping.schema or "")
    assert rows == sorted(stub.ids())


@pytest.mark.parametrize("tool", WITH_STATEMENTS)
def test_the_mapping_works_once_the_statements_of_its_decisions_are_run(
    tool: str, mapper: Mapper, stub: StubClerk
) -> None:
    """Each decision is one line, and has the statement."""
    mapper.create(WITH_STATEMENTS[tool])
    mapped = mapper.map()
    assert mapped.decisions
    mapper.follow(mapped)
    assert mapper.run("map", "--check", str(mapper.file)).returncode == 0
    assert mapper.sync()["created"] == stub.count
    assert mapper.sync()["unchanged"] == stub.count


@pytest.mark.parametrize("preset", [name for name in TABLES if name != "default"])
def test_the_tables_of_the_presets_are_mapped(preset: str, mapper: Mapper) -> None:
    """They were first described by hand."""
    mapper.create(TABLES[preset])
    mapping, known = mapper.map().mapping, load(preset)
    for part in ("table", "key", "email", "email_not_null", "email_unique"):
        assert getattr(mapping, part) == getattr(known, part)
    for role in ("created_at", "updated_at"):
        assert getattr(mapping, role) == getattr(known, role)
    assert {*mapping.columns} == {*known.columns}


def test_drizzle(mapper: Mapper) -> None:
    """The enum keeps its default, and settings that can be made are made."""
    mapper.create(tables.DRIZZLE)
    mapped = mapper.map()
    mapping = mapped.mapping
    assert (mapping.schema, mapping.table, mapping.key) == (
        "public",
        "users",
        "clerk_id",
    )
    assert mapping.own_id is not None
    assert mapping.own_id.generated == "database"
    assert mapping.email_not_null
    assert mapped.sources == {
        "email": "email",
        "name": "name",
        "image_url": "image_url",
    }
    assert "#   plan: plan (free, pro), which has a default" in mapped.text
    assert [c.table for c in mapping.companions] == ["user_settings"]
    assert mapped.decisions.keys() == {"user_settings", "Deletions"}
    assert "public.posts (posts_author_id_users_id_fk)" in mapped.decisions["Deletions"]
    assert ("warning", "foreign keys") in mapped.levels
    assert "Migrations: Drizzle, by its table drizzle." in mapped.said


def test_django(mapper: Mapper) -> None:
    """Its columns have no defaults: each gets a value, and nobody can sign in with a
    password or becomes a superuser."""
    mapper.create(tables.DJANGO)
    mapped = mapper.map()
    mapping = mapped.mapping
    assert (mapping.table, mapping.key) == ("accounts_user", "clerk_id")
    assert mapping.defaults == {
        "password": "!",
        "is_superuser": False,
        "is_staff": False,
        "is_active": True,
    }
    assert mapped.sources["date_joined"] == "created_at"
    otherwise = {column.name: column.otherwise for column in mapping.columns}
    assert (otherwise["first_name"], otherwise["last_name"]) == ("", "")
    # Clerk's users need no username, and this one must be there and be unique.
    assert mapped.sources["username"] == "clerk_id"
    # What a profile says, only the application knows.
    assert mapping.companions == ()
    assert "accounts_profile" in mapped.decisions
    assert "# [[companions]]" in mapped.text


def test_sqlalchemy(mapper: Mapper) -> None:
    """Defaults that are given in Python are guessed, and the guess is named."""
    mapper.create(tables.SQLALCHEMY)
    mapped = mapper.map()
    assert mapped.mapping.key == "clerk_user_id"
    assert mapped.mapping.defaults == {
        "role": "member",
        "is_active": True,
        "login_count": 0,
    }
    assert mapped.decisions.keys() == {"role", "login_count"}
    assert "one of member, admin" in mapped.decisions["role"]
    assert mapped.sources["full_name"] == "name"
    assert mapped.sources["avatar_url"] == "image_url"


def test_prisma(mapper: Mapper, stub: StubClerk) -> None:
    """Prisma's own IDs are not made by the database."""
    mapper.create(tables.PRISMA)
    mapping = mapper.map().mapping
    assert (mapping.table, mapping.key) == ("User", "clerkId")
    assert mapping.own_id is not None
    assert mapping.own_id.generated == "cuid"
    assert (mapping.created_at, mapping.updated_at) == ("createdAt", "updatedAt")
    assert [c.table for c in mapping.companions] == ["Profile"]
    mapper.sync()
    count = mapper.connection.execute('SELECT count(*) FROM "Profile"').fetchone()
    assert count == (stub.count,)


def test_rails(mapper: Mapper) -> None:
    """Devise's columns have defaults. Its sign-in times stay its own."""
    mapper.create(tables.RAILS)
    mapped = mapper.map()
    assert mapped.decisions == {}
    assert mapped.sources == {"email": "email"}
    assert '# last_sign_in_at = "last_sign_in_at"  # only if you want it' in mapped.text


def test_laravel(mapper: Mapper) -> None:
    """A new application's table has no column for the Clerk ID: map says so."""
    mapper.create(tables.LARAVEL)
    mapped = mapper.map()
    assert mapped.decisions.keys() == {"clerk_id"}
    assert ("wrong", "table") in mapped.levels
    assert "clerksync map --check" in mapped.said
    assert "$table->string('clerk_id')" in mapped.decisions["clerk_id"]
    assert mapped.mapping.defaults == {"password": "!"}


def test_supabase(mapper: Mapper) -> None:
    """The table of Supabase's sign-in is never the target, and profiles must let go of
    it."""
    mapper.create(tables.SUPABASE)
    mapped = mapper.map()
    assert (mapped.mapping.schema, mapped.mapping.table) == ("public", "profiles")
    assert mapped.decisions.keys() == {"clerk_id", "id", "email"}
    assert "references auth.users" in mapped.decisions["id"]
    refused = mapper.run("map", "--table", "auth.users")
    assert refused.returncode == 1
    assert "belongs to Supabase" in refused.stderr


def test_a_primary_key_without_rows_is_a_guess(
    mapper: Mapper, connection: psycopg.Connection
) -> None:
    """Rows with Clerk IDs show that it is right."""
    mapper.create(tables.PLAIN)
    assert "id" in mapper.map().decisions
    connection.execute("INSERT INTO users VALUES ('user_1', 'a@b.test')")
    mapped = mapper.map()
    assert mapped.decisions == {}
    assert mapped.mapping.key == "id"
    assert mapped.mapping.own_id is None
