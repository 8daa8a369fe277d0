"""How map is called, and what it leaves alone."""

from pathlib import Path

import pytest

from tests.integration.local.map import tables
from tests.integration.local.map.mapper import Mapper
from tests.terminal import clerksync_here

pytestmark = pytest.mark.alters_schema


def test_the_mapping_alone_goes_to_standard_output(mapper: Mapper) -> None:
    """All else goes to standard error, so that the output can be redirected."""
    mapper.create(tables.DRIZZLE)
    done = mapper.run("map")
    assert done.returncode == 0
    assert done.stdout == mapper.map().text
    assert "CLERKSYNC_SCHEMA" not in done.stderr


def test_a_schema_that_is_shared_with_the_application_is_reported(
    mapper: Mapper,
) -> None:
    """The next push of a tool may drop clerksync's tables there."""
    mapper.create(tables.DRIZZLE)
    mapper.settings["CLERKSYNC_SCHEMA"] = "public"
    assert "CLERKSYNC_SCHEMA is public" in mapper.map().said
    mapper.settings["CLERKSYNC_SCHEMA"] = "sync"
    assert "CLERKSYNC_SCHEMA" not in mapper.map().said


def test_a_file_is_not_overwritten_without_force(mapper: Mapper) -> None:
    """It may be one that somebody has edited."""
    mapper.create(tables.DRIZZLE)
    mapper.file.write_text("mine")
    done = mapper.run("map", "--out", str(mapper.file))
    assert (done.returncode, mapper.file.read_text()) == (1, "mine")
    assert "--force" in done.stderr
    assert 'name = "users"' in mapper.map().text


def test_nothing_in_the_database_changes(mapper: Mapper) -> None:
    """No schema, no table, no row."""
    mapper.create(tables.PRISMA)
    count = "SELECT count(*) FROM pg_class"
    before = mapper.connection.execute(count).fetchone()
    mapper.map()
    assert mapper.connection.execute(count).fetchone() == before


def test_existing_values_stay_in_the_database(mapper: Mapper) -> None:
    """Neither the file nor the messages quote a row."""
    mapper.create(tables.RAILS)
    mapper.connection.execute(
        "INSERT INTO users (email, clerk_id, created_at, updated_at)"
        " VALUES ('secret@example.org', 'user_secret', now(), now())"
    )
    mapped = mapper.map()
    assert "secret@" not in mapped.text + mapped.said
    assert "user_secret" not in mapped.text + mapped.said


def test_only_the_database_is_needed(mapper: Mapper) -> None:
    """No key of Clerk's, and a mapping that is not there yet does no harm."""
    mapper.create(tables.DRIZZLE)
    url = mapper.settings["DATABASE_URL"]
    mapper.settings.clear()
    mapper.settings |= {"DATABASE_URL": url, "CLERKSYNC_MAPPING": "./later.toml"}
    assert mapper.map().mapping.table == "users"


def test_without_a_database_it_says_what_to_set(tmp_path: Path) -> None:
    """The embedded Postgres has no table of an application."""
    done = clerksync_here("map", cwd=tmp_path)
    assert done.returncode == 1
    assert "Set DATABASE_URL" in done.stderr


def test_a_file_without_check_is_wrong_use(mapper: Mapper) -> None:
    """It would not say whether to read or to write it."""
    done = mapper.run("map", "mapping.toml")
    assert done.returncode == 2
    assert "--out" in done.stderr
    assert mapper.run("map", "--check", "--table", "users").returncode == 2


def test_check_accepts_a_mapping_that_fits_and_names_unfilled_columns(
    mapper: Mapper,
) -> None:
    """By default the one in CLERKSYNC_MAPPING."""
    mapper.create(tables.RAILS)
    mapper.map()
    mapper.settings["CLERKSYNC_MAPPING"] = str(mapper.file)
    done = mapper.run("map", "--check")
    assert done.returncode == 0
    assert "fits its table" in done.stdout
    assert "encrypted_password (character varying): its default" in done.stdout
    assert "reset_password_token (character varying): NULL" in done.stdout
    assert "clerk_id" not in done.stdout


def test_check_reports_each_problem_with_its_line(mapper: Mapper) -> None:
    """And exits with 1."""
    mapper.create(tables.RAILS)
    mapper.map()
    mapper.connection.execute(
        "ALTER TABLE users RENAME clerk_id TO clerk; ALTER TABLE users ADD age int"
    )
    done = mapper.run("map", "--check", str(mapper.file))
    assert done.returncode == 1
    line = mapper.file.read_text().splitlines().index('key = "clerk_id"') + 1
    assert f'line {line}: users: column "clerk_id" does not exist.' in done.stdout
    assert "age (integer): NULL" in done.stdout


def test_check_names_the_schema_that_a_mapping_lacks(mapper: Mapper) -> None:
    """Beside clerksync's own tables there is none of this name."""
    mapper.create("CREATE SCHEMA app; CREATE TABLE app.staff (k text, email text)")
    mapper.file.write_text(
        '[table]\nname = "staff"\nkey = "k"\n[columns]\nemail = "email"\n'
    )
    done = mapper.run("map", "--check", str(mapper.file))
    assert done.returncode == 1
    assert 'Add to [table]: schema = "app".' in done.stdout


def test_check_reports_a_file_that_is_no_mapping(mapper: Mapper) -> None:
    """With the line, as migrate does."""
    mapper.file.write_text('[table]\nname = "users"\nkeys = "id"\n')
    done = mapper.run("map", "--check", str(mapper.file))
    assert done.returncode == 1
    assert "line 3" in done.stderr
