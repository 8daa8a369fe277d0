"""Which table map takes, and when it asks."""

import psycopg
import pytest

from tests.integration.local.map import tables
from tests.integration.local.map.mapper import Mapper

pytestmark = pytest.mark.alters_schema

LINKED = "id serial PRIMARY KEY, clerk_id text UNIQUE, email text UNIQUE"
PLAIN = "id serial PRIMARY KEY, email text UNIQUE"


def refusal(mapper: Mapper, *arguments: str) -> str:
    done = mapper.run("map", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


def target(mapper: Mapper, *arguments: str) -> tuple[str | None, str]:
    mapping = mapper.map(*arguments).mapping
    return mapping.schema, mapping.table


def test_a_table_with_a_clerk_id_wins_over_a_usual_name(mapper: Mapper) -> None:
    """It was made for Clerk's users."""
    mapper.create(f"CREATE TABLE users ({PLAIN}); CREATE TABLE members ({LINKED})")
    assert target(mapper) == ("public", "members")


def test_several_tables_that_are_as_likely_are_listed(mapper: Mapper) -> None:
    """The owner names one."""
    mapper.create(
        f"CREATE TABLE users ({PLAIN}); CREATE SCHEMA shop;"
        f"CREATE TABLE shop.users ({PLAIN})"
    )
    said = refusal(mapper)
    assert "public.users, shop.users" in said
    assert "clerksync map --table public.users" in said
    assert "several schemas" in refusal(mapper, "--table", "users")
    assert target(mapper, "--table", "shop.users") == ("shop", "users")


def test_a_table_is_found_in_any_schema(mapper: Mapper) -> None:
    """By its email, whatever it is called."""
    mapper.create(
        "CREATE SCHEMA crm; CREATE TABLE crm.people (id serial PRIMARY KEY,"
        ' "emailAddress" text, "firstName" text);'
        "CREATE TABLE orders (id serial PRIMARY KEY, total integer)"
    )
    assert target(mapper) == ("crm", "people")


def test_clerksyncs_own_table_is_not_the_applications(mapper: Mapper) -> None:
    """It needs no mapping, and beside it another table is taken."""
    said = refusal(mapper)
    assert "public.users is clerksync's own table" in said
    mapper.connection.execute(f"CREATE TABLE members ({LINKED})")
    assert target(mapper) == ("public", "members")


def test_an_empty_database_gets_a_message_that_says_what_to_do(mapper: Mapper) -> None:
    """There is nothing to map yet."""
    mapper.create("SELECT 1")
    assert "clerksync migrate creates users" in refusal(mapper)
    mapper.create("CREATE TABLE orders (id serial)")
    assert "clerksync map --table schema.name" in refusal(mapper)


def test_a_missing_table_is_reported_with_those_that_exist(mapper: Mapper) -> None:
    """In the spelling of the database."""
    mapper.create(tables.PRISMA)
    said = refusal(mapper, "--table", "user")
    assert "There is no table user" in said
    assert "public.User" in said


def test_a_table_out_of_reach_is_no_candidate(
    mapper: Mapper, connection: psycopg.Connection
) -> None:
    """A role without USAGE on a schema could not write there."""
    mapper.create(
        f"CREATE SCHEMA hidden; CREATE TABLE hidden.users ({LINKED});"
        f"CREATE TABLE members ({PLAIN});"
        "GRANT USAGE ON SCHEMA public TO PUBLIC;"
        "GRANT SELECT ON members TO PUBLIC"
    )
    role = f"mapper_{connection.info.backend_pid}"
    connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'correct-horse'".encode())
    try:
        url = psycopg.conninfo.make_conninfo(
            mapper.settings["DATABASE_URL"], user=role, password="correct-horse"
        )
        mapper.settings["DATABASE_URL"] = url
        assert target(mapper) == ("public", "members")
    finally:
        connection.execute(f"DROP OWNED BY {role}".encode())
        connection.execute(f"DROP ROLE {role}".encode())
